/** The control plane's API for the page, with the types of its OpenAPI document. */
import type { Input, Method, Output, PathOf } from "../../clients/api/operations.ts";
import { CALL_TIMEOUT_MS } from "../limits.ts";
import { errorOf, unreachable } from "./api-error.ts";
import { eventsOf } from "./event-stream.ts";
import type { PageEvent } from "./event-stream.ts";

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

interface RequestParts {
  path?: Readonly<Record<string, string>>;
  query?: Query;
  body?: unknown;
}

export interface StreamOptions {
  query?: Query;
  signal: AbortSignal;
  onOpen: () => void;
  onEvent: (event: PageEvent) => void;
}

/** The folder of the page, without a slash at the end: the base path, also behind a reverse proxy that adds one. */
export const BASE: string = new URL(".", location.href).pathname.replace(/\/$/, "");

/** URL of the control plane, with its base path. */
export const SERVER: string = `${location.origin}${BASE}`;

let refusedCredential = (): void => {};

/** @param listener called when the control plane does not take the browser's cookie any more */
export function onRefusedCredential(listener: () => void): void {
  refusedCredential = listener;
}

/** @throws ApiError */
export async function call<M extends Method, P extends PathOf<M>>(
  method: M,
  path: P,
  input: Input<M, P>,
): Promise<Output<M, P>> {
  return (await callPath(method, path, input)) as Output<M, P>;
}

/** A call of a path that the page fills in itself. @throws ApiError */
export async function callPath(method: Method, path: string, parts: RequestParts = {}): Promise<unknown> {
  const response = await send(method, path, parts, AbortSignal.timeout(CALL_TIMEOUT_MS));
  try {
    const text = await response.text();
    return text === "" ? undefined : JSON.parse(text);
  } catch (error) {
    throw unreachable(error);
  }
}

/** Reads server-sent events until they end, or the signal is aborted. @throws ApiError */
export async function stream(path: string, { query, signal, onOpen, onEvent }: StreamOptions): Promise<void> {
  const response = await send("get", path, query === undefined ? {} : { query }, signal);
  onOpen();
  if (response.body === null) return;
  try {
    await eventsOf(response.body, onEvent);
  } catch (error) {
    if (!signal.aborted) throw unreachable(error);
  }
}

async function send(
  method: Method,
  path: string,
  { path: parameters = {}, query = {}, body }: RequestParts,
  signal: AbortSignal,
): Promise<Response> {
  const filled = path.replace(/\{(\w+)\}/g, (_all, name: string) =>
    encodeURIComponent(parameters[name] ?? ""),
  );
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)]],
  );
  const search = pairs.length === 0 ? "" : `?${new URLSearchParams(pairs).toString()}`;
  let response: Response;
  try {
    response = await fetch(`${BASE}${filled}${search}`, {
      method: method.toUpperCase(),
      headers: { ...(body !== undefined && { "content-type": "application/json" }) },
      body: body === undefined ? null : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal,
    });
  } catch (error) {
    throw unreachable(error);
  }
  if (response.ok) return response;
  if (response.status === 401) refusedCredential();
  throw await errorOf(response);
}
