/** The closed sets of names, from the API's own description. */

import {
  pathsApiStreamsGetParametersQueryContent_kindValues,
  pathsApiStreamsGetParametersQueryProtocolValues,
  pathsApiStreamsGetParametersQueryServiceValues,
  pathsApiStreamsGetParametersQueryStatusValues,
} from "./schema";

/** "unknown" is among them: streams of which nothing is known. */
export const SERVICES: readonly string[] = pathsApiStreamsGetParametersQueryServiceValues;
export const PROTOCOLS: readonly string[] = pathsApiStreamsGetParametersQueryProtocolValues;
export const CONTENT_KINDS: readonly string[] = pathsApiStreamsGetParametersQueryContent_kindValues;
export const STATUSES: readonly string[] = pathsApiStreamsGetParametersQueryStatusValues;
