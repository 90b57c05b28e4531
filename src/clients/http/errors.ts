/** What undici and sockets fail with, in our codes. */
import { codeFromErrno } from "../../wire/failure-codes.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { errorCodeOf, toError, TurnaboutError } from "../../wire/errors.ts";

const FROM_UNDICI: Readonly<Record<string, ErrorCode>> = {
  UND_ERR_HEADERS_TIMEOUT: "response_timeout",
  UND_ERR_BODY_TIMEOUT: "response_timeout",
  UND_ERR_SOCKET: "target_closed", // also: no answer at all
  UND_ERR_CLOSED: "target_closed",
  UND_ERR_DESTROYED: "target_closed",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "target_closed", // cut short
  UND_ERR_RES_EXCEEDED_MAX_SIZE: "target_protocol",
  UND_ERR_HEADERS_OVERFLOW: "target_protocol",
  UND_ERR_INVALID_ARG: "bad_request",
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: "bad_request",
};

export function httpFailure(error: unknown, label: string): TurnaboutError {
  if (error instanceof TurnaboutError) return error;
  const { name, message } = toError(error);
  const code = errorCodeOf(error);
  // undici's parser gives its errors no code.
  const parser = name === "HTTPParserError" ? "target_protocol" : undefined;
  const known = parser ?? (code === undefined ? undefined : FROM_UNDICI[code]) ?? codeFromErrno(code);
  return new TurnaboutError(known, `${label}: ${message}`, { cause: error });
}
