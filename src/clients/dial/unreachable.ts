/** Why a control plane cannot be reached, in an operator's words, and what to do. */
import { errorCodeOf, toError, TurnaboutError } from "../../wire/errors.ts";
import { systemErrorHint } from "../../wire/system/system-errors.ts";

/** The connection was accepted, and nothing has come on it. */
export const SILENT_HINT =
  "something accepts connections there, but does not respond, or speaks no HTTP/2: check --server; `turnabout check` looks at each step";

/** @param label what was tried, for the message */
export function unreachable(error: unknown, label: string, server: string): TurnaboutError {
  const failure = toError(error);
  const { host } = new URL(server);
  return new TurnaboutError("carrier_failed", `${label}: cannot reach ${host}: ${reasonOf(failure)}`, {
    cause: error,
    hint: hintFor(failure, server),
  });
}

/** Of the HTTP library. */
const REASONS: Readonly<Record<string, string>> = {
  UND_ERR_HEADERS_TIMEOUT: "it accepted the connection and sent no response in time",
  UND_ERR_BODY_TIMEOUT: "it stopped within its response",
  UND_ERR_CONNECT_TIMEOUT: "no connection in time",
};

/** OpenSSL's messages have file names and line numbers; its reason is a short text beside them. */
function reasonOf(error: Error): string {
  const { message } = error;
  if ("reason" in error && typeof error.reason === "string" && message.includes("SSL routines"))
    return `TLS: ${error.reason}`;
  return REASONS[errorCodeOf(error) ?? ""] ?? message.replace(/; if the root CA is installed locally.*$/, "");
}

function hintFor(error: Error, server: string): string {
  const code = errorCodeOf(error) ?? "";
  if (code === "UND_ERR_HEADERS_TIMEOUT") return SILENT_HINT;
  if (code === "ECONNREFUSED")
    return "nothing listens there: check --server, and that the control plane runs";
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG")
    return `the port speaks plain HTTP: use ${server.replace(/^https:/, "http:")}`;
  if (code === "UND_ERR_SOCKET" && server.startsWith("http:"))
    return "the connection was closed without a response: does the port speak TLS? Then use https://";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return "the certificate has another name: use that in --server";
  if (/CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)/.test(code))
    return "the certificate is not trusted: give its CA with --ca FILE";
  return systemErrorHint(error) ?? "check --server, and the network on the way to it";
}
