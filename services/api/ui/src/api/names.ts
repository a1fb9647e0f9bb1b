/** The closed sets of names, from the API's own description. */

import {
  pathsApiStreamsGetParametersQueryContent_kindValues,
  pathsApiStreamsGetParametersQueryProtocolValues,
  pathsApiStreamsGetParametersQueryServiceValues,
  pathsApiStreamsGetParametersQueryStatusValues,
} from "./schema";

/** "unknown" is among them: streams of which nothing is known. */
export const SERVICES = pathsApiStreamsGetParametersQueryServiceValues;
export const PROTOCOLS = pathsApiStreamsGetParametersQueryProtocolValues;
export const CONTENT_KINDS = pathsApiStreamsGetParametersQueryContent_kindValues;
export const STATUSES = pathsApiStreamsGetParametersQueryStatusValues;
