/** The id of a caller's request: in its response, in the log lines of both ends, and in the access log. */
import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isRequestId } from "../../wire/messages/request-id.ts";

/** In responses to callers: those of our own, and those of targets on a route. */
export const REQUEST_ID_FIELD = "x-request-id";

const ID: unique symbol = Symbol("request id");

interface Identified {
  [ID]?: string;
}

/** A new id, unless the request has one already. */
export function requestIdOf(request: object): string {
  return ((request as Identified)[ID] ??= randomUUID());
}

/** The `X-Request-Id` of a trusted proxy, so that its log has the same id as ours. A caller's own is not ours to believe. */
export function adoptRequestId(request: { headers: IncomingHttpHeaders }): void {
  const { [REQUEST_ID_FIELD]: given } = request.headers;
  if (isRequestId(given)) (request as Identified)[ID] ??= given;
}
