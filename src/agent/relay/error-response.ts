/** The relay's own error responses. `Proxy-Status` names the relay, so that its errors are not taken for the control plane's. */
import { STATUS_CODES } from "node:http";
import { errorResponse } from "../../wire/error-response.ts";
import type { ErrorResponse } from "../../wire/error-response.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { RELAY_NAME } from "../../wire/protocol.ts";

export function relayErrorResponse(code: ErrorCode): Omit<ErrorResponse, "requestId"> {
  const error = new TurnaboutError(code, code, code === "method_not_allowed" ? { allow: ["GET"] } : {});
  const { status, headers, body } = errorResponse(error, RELAY_NAME);
  return { status, headers: { ...headers, connection: "close" }, body };
}

/** The same for the raw socket of an upgrade that is refused. */
export function rawErrorResponse(code: ErrorCode): Buffer {
  const { status, headers, body } = relayErrorResponse(code);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}\r\n${lines.join("")}\r\n${body}`);
}
