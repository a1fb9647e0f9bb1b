/** One request to the API: its body, or an `ApiError` that says what the server said. */

import type { components } from "./schema";

export type Schemas = components["schemas"];
export type Stream = Schemas["Stream"];
export type StreamPage = Schemas["StreamPage"];
export type StreamDetail = Schemas["StreamDetail"];
export type Health = Schemas["Health"];
export type Pattern = Schemas["Pattern"];
export type DirectionName = "a_to_b" | "b_to_a";

const TOKEN_KEY = "flowmate.token";

/** What the API answered instead of a body; status 0 = it did not answer at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

type Value = string | number | boolean | null | undefined;
export type Params = Readonly<Record<string, Value>>;

export interface RequestOptions {
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  params?: Params;
  json?: unknown;
  body?: BodyInit;
  signal?: AbortSignal;
}

/** Take a token out of the page's own address: it must not be copied along with links. */
export function adoptToken(): void {
  const url = new URL(window.location.href);
  const token = url.searchParams.get("token");
  if (token === null) return;
  url.searchParams.delete("token");
  setToken(token);
  window.history.replaceState(null, "", url);
}

export function setToken(token: string): void {
  sessionStorage.setItem(TOKEN_KEY, token);
}

/** What every request carries when there is a token. */
export function authorization(): Record<string, string> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** `path` with its query; parameters without a value are left out. */
export function address(path: string, params: Params = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "" && value !== false)
      query.set(name, String(value));
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** The response as it comes; throws ApiError unless it is a success. */
export async function send(path: string, options: RequestOptions = {}): Promise<Response> {
  const headers = new Headers(authorization());
  if (options.json !== undefined) headers.set("Content-Type", "application/json");
  const init: RequestInit = { method: options.method ?? "GET", headers, cache: "no-store" };
  if (options.json !== undefined) init.body = JSON.stringify(options.json);
  else if (options.body !== undefined) init.body = options.body;
  if (options.signal) init.signal = options.signal;
  let response: Response;
  try {
    response = await fetch(address(path, options.params), init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "the server does not answer", "it is tried again");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** The JSON body of an answer; the caller names its type from the schema. */
export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const response = await send(path, options);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** What a response that is not a success says. */
export async function problemOf(response: Response): Promise<ApiError> {
  try {
    const { error } = (await response.json()) as Schemas["ErrorBody"];
    return new ApiError(response.status, error.code, error.message, error.hint);
  } catch {
    return new ApiError(response.status, "unknown", `the server answered ${response.status}`, "");
  }
}
