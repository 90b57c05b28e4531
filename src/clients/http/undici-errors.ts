/** Errors of undici and of sockets as our codes: the only table of undici's error codes. */
import type { ErrorCode } from "../../wire/error-table.ts";
import { errorCodeOf, toError, TurnaboutError } from "../../wire/errors.ts";
import { codeFromErrno } from "../../wire/failure-codes.ts";

const FROM_UNDICI: Readonly<Record<string, ErrorCode>> = {
  UND_ERR_HEADERS_TIMEOUT: "response_timeout",
  UND_ERR_BODY_TIMEOUT: "response_timeout",
  UND_ERR_SOCKET: "target_closed", // also: no response at all
  UND_ERR_CLOSED: "target_closed",
  UND_ERR_DESTROYED: "target_closed",
  UND_ERR_RES_EXCEEDED_MAX_SIZE: "target_protocol",
  UND_ERR_HEADERS_OVERFLOW: "target_protocol",
  UND_ERR_INVALID_ARG: "bad_request",
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: "bad_request",
  ERR_ASSERTION: "target_protocol", // undici's own check of the status code, below 100
};

/** Undefined for an error that is not undici's. */
export function codeFromUndici(error: Error): ErrorCode | undefined {
  const code = errorCodeOf(error) ?? "";
  // The parser's errors have no code where the response does not even begin as HTTP.
  if (error.name === "HTTPParserError" || code.startsWith("HPE_")) return "target_protocol";
  // These two differ from a lost connection only by their text.
  const isBadResponse = error.message === "bad upgrade" || error.message === "bad response";
  if (code === "UND_ERR_SOCKET" && isBadResponse) return "target_protocol";
  return FROM_UNDICI[code] ?? (code.startsWith("UND_ERR_RES") ? "target_protocol" : undefined);
}

/** In our words: those of undici name a class of its own. */
const TEXTS: Readonly<Record<string, string>> = {
  UND_ERR_HEADERS_TIMEOUT: "no response in time",
  UND_ERR_BODY_TIMEOUT: "the response has stopped before its end",
  UND_ERR_CONNECT_TIMEOUT: "no connection in time",
};

export function httpFailure(cause: unknown, label: string): TurnaboutError {
  if (cause instanceof TurnaboutError) return cause;
  const error = toError(cause);
  const code = codeFromUndici(error) ?? codeFromErrno(errorCodeOf(cause));
  const text = TEXTS[errorCodeOf(error) ?? ""] ?? error.message;
  return new TurnaboutError(code, `${label}: ${text}`, { cause });
}
