/** An error as an HTTP response: fixed text, our code, `Proxy-Status` and a request id; nothing internal. */
import { randomUUID } from "node:crypto";
import type { CodedError } from "./errors.ts";
import { proxyStatusOf } from "./fields/proxy-status.ts";
import { HEADER } from "./protocol.ts";
import { VERSION } from "./version.ts";

export interface ErrorResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
  requestId: string;
}

/**
 * @param name of this hop in `Proxy-Status`. Default {@link PROXY_NAME}
 * @param requestId of the request, under which it is logged. Default: a new one
 */
export function errorResponse(
  error: CodedError,
  name?: string,
  requestId: string = randomUUID(),
): ErrorResponse {
  const { code, status, text, details, retryAfterS, allow } = error;
  const body = JSON.stringify({ error: { code, message: text, requestId, details } });
  return {
    status,
    requestId,
    body,
    headers: {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "proxy-status": proxyStatusOf(error, name),
      "x-request-id": requestId,
      [HEADER.version]: VERSION,
      ...(retryAfterS !== undefined && { "retry-after": String(retryAfterS) }),
      ...(allow !== undefined && { allow: allow.join(", ") }),
    },
  };
}
