/** What failed below (errno, an HTTP status, an HTTP/2 error code), as one of the tunnel's error codes. */
import type { ErrorCode } from "./error-table.ts";

const FROM_ERRNO: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: "target_refused",
  ENOENT: "target_refused", // no such Unix socket
  ENOTSOCK: "target_refused",
  EACCES: "target_refused",
  EPERM: "target_refused",
  ETIMEDOUT: "target_timeout",
  ENOTFOUND: "target_unresolved",
  EAI_AGAIN: "target_unresolved",
  EHOSTUNREACH: "target_unreachable",
  ENETUNREACH: "target_unreachable",
  EADDRNOTAVAIL: "target_unreachable",
  ECONNRESET: "target_closed",
  EPIPE: "target_closed",
  ECONNABORTED: "target_closed",
  EAGAIN: "overloaded", // a Unix socket whose backlog is full
  EMFILE: "overloaded",
  ENFILE: "overloaded",
};

/** A system error by whose name a peer may be told why a target was not reached: nothing else of it crosses the tunnel. */
export function isKnownErrno(errno: string): boolean {
  return Object.hasOwn(FROM_ERRNO, errno);
}

/** errno of a failed target connection. */
export function codeFromErrno(errno: string | undefined): ErrorCode {
  return (errno === undefined ? undefined : FROM_ERRNO[errno]) ?? "target_closed";
}

const FROM_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "bad_request",
  401: "unauthenticated",
  403: "not_allowed",
  404: "target_unknown",
  405: "method_not_allowed",
  407: "unauthenticated", // of a forward proxy
  408: "request_timeout",
  409: "runner_taken",
  411: "length_required",
  413: "payload_too_large",
  417: "expectation_failed",
  426: "upgrade_required",
  429: "rate_limited",
  431: "headers_too_large",
  500: "internal",
  501: "not_supported",
  502: "target_refused",
  503: "agent_draining",
  504: "target_timeout",
};

/** Status of a dial that a peer has refused without an error code of ours in `Proxy-Status`. */
export function codeFromStatus(status: number): ErrorCode {
  return FROM_STATUS[status] ?? "tunnel_protocol";
}

const FROM_RST: Readonly<Record<number, ErrorCode>> = {
  0: "target_closed", // NO_ERROR
  1: "tunnel_protocol", // PROTOCOL_ERROR
  2: "target_closed", // INTERNAL_ERROR: our abort
  7: "overloaded", // REFUSED_STREAM
  8: "target_closed", // CANCEL
  10: "target_closed", // CONNECT_ERROR
  11: "overloaded", // ENHANCE_YOUR_CALM
};

/** HTTP/2 error code (RFC 9113 §7) of a stream that the agent reset before its response. */
export function codeFromRst(rstCode: number): ErrorCode {
  return FROM_RST[rstCode] ?? "tunnel_protocol";
}
