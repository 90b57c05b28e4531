/**
 * One table, both directions: our codes ↔ HTTP status ↔ Proxy-Status (RFC 9209 §2.3) ↔ errno and HTTP/2 codes.
 * `text` is the fixed public sentence: nothing internal (addresses, paths, stack) ever leaves in an error body.
 */
import type { Initiator } from "./errors.ts";

interface Row {
  status: number;
  /** `error` parameter of Proxy-Status. */
  proxyError: string;
  initiator: Initiator;
  text: string;
  retryAfterS?: number;
}

export type ErrorCode =
  | "bad_request"
  | "unauthenticated"
  | "not_allowed"
  | "not_found"
  | "method_not_allowed"
  | "runner_unknown"
  | "target_unknown"
  | "session_unknown"
  | "instance_unknown"
  | "origin_not_allowed"
  | "runner_taken"
  | "already_exists"
  | "request_timeout"
  | "expectation_failed"
  | "payload_too_large"
  | "rate_limited"
  | "too_many_sessions"
  | "no_instance_online"
  | "no_instance_matches"
  | "instances_full"
  | "wolf_failed"
  | "length_required"
  | "not_supported"
  | "upgrade_required"
  | "headers_too_large"
  | "internal"
  | "target_refused"
  | "target_unreachable"
  | "target_unresolved"
  | "target_closed"
  | "target_protocol"
  | "tunnel_lost"
  | "tunnel_protocol"
  | "runner_offline"
  | "agent_draining"
  | "overloaded"
  | "control_plane_draining"
  | "target_timeout"
  | "response_timeout"
  | "tunnel_timeout"
  | "aborted"
  | "server_unreachable"
  | "carrier_failed"
  | "relay_full"
  | "relay_loop"
  | "config_invalid";

export const ERROR_TABLE: Readonly<Record<ErrorCode, Row>> = {
  bad_request: {
    status: 400,
    proxyError: "http_request_error",
    initiator: "user",
    text: "The request is malformed.",
  },
  unauthenticated: {
    status: 401,
    proxyError: "http_request_denied",
    initiator: "user",
    text: "A valid token is required.",
  },
  not_allowed: {
    status: 403,
    proxyError: "http_request_denied",
    initiator: "user",
    text: "This identity may not do that.",
  },
  not_found: {
    status: 404,
    proxyError: "destination_not_found",
    initiator: "user",
    text: "There is nothing at this path.",
  },
  method_not_allowed: {
    status: 405,
    proxyError: "http_request_error",
    initiator: "user",
    text: "This method is not supported here.",
  },
  runner_unknown: {
    status: 404,
    proxyError: "destination_not_found",
    initiator: "user",
    text: "No runner of this id has connected.",
  },
  target_unknown: {
    status: 404,
    proxyError: "destination_not_found",
    initiator: "user",
    text: "The runner has no target of this name.",
  },
  session_unknown: {
    status: 404,
    proxyError: "destination_not_found",
    initiator: "user",
    text: "There is no such session.",
  },
  instance_unknown: {
    status: 404,
    proxyError: "destination_not_found",
    initiator: "user",
    text: "This is an unknown instance: no Wolf of this id has connected.",
  },
  origin_not_allowed: {
    status: 403,
    proxyError: "http_request_denied",
    initiator: "user",
    text: "A cookie is accepted only from the allowed origins.",
  },
  already_exists: {
    status: 409,
    proxyError: "http_request_denied",
    initiator: "user",
    text: "This name is taken.",
  },
  request_timeout: {
    status: 408,
    proxyError: "http_request_error",
    initiator: "user",
    text: "The request did not become complete in time.",
  },
  expectation_failed: {
    status: 417,
    proxyError: "http_request_error",
    initiator: "user",
    text: "Expect can only be 100-continue.",
  },
  payload_too_large: {
    status: 413,
    proxyError: "http_request_error",
    initiator: "user",
    text: "The body is too large.",
  },
  rate_limited: {
    status: 429,
    proxyError: "http_request_denied",
    initiator: "user",
    text: "Too soon after the last attempt.",
    retryAfterS: 3,
  },
  too_many_sessions: {
    status: 429,
    proxyError: "http_request_denied",
    initiator: "user",
    text: "This user has as many sessions as one may have.",
    retryAfterS: 10,
  },
  no_instance_online: {
    status: 503,
    proxyError: "destination_unavailable",
    initiator: "remote",
    text: "No Wolf instance is online.",
    retryAfterS: 5,
  },
  no_instance_matches: {
    status: 503,
    proxyError: "destination_unavailable",
    initiator: "remote",
    text: "No online Wolf instance has the GPU vendor or the privileged mode that was asked for.",
    retryAfterS: 30,
  },
  instances_full: {
    status: 503,
    proxyError: "connection_limit_reached",
    initiator: "remote",
    text: "All online Wolf instances are at capacity.",
    retryAfterS: 10,
  },
  wolf_failed: {
    status: 502,
    proxyError: "http_protocol_error",
    initiator: "remote",
    text: "Wolf refused the request.",
  },
  runner_taken: {
    status: 409,
    proxyError: "http_request_denied",
    initiator: "user",
    text: "The runner is held by another agent.",
    retryAfterS: 30,
  },
  length_required: {
    status: 411,
    proxyError: "http_request_error",
    initiator: "user",
    text: "A Content-Length is needed: the body cannot be measured first.",
  },
  not_supported: {
    status: 501,
    proxyError: "http_request_error",
    initiator: "remote",
    text: "The target is declared as one that takes no such request, such as a WebSocket.",
  },
  upgrade_required: {
    status: 426,
    proxyError: "http_request_error",
    initiator: "user",
    text: "This is the agent door: upgrade to ptth or websocket.",
  },
  headers_too_large: {
    status: 431,
    proxyError: "http_request_error",
    initiator: "user",
    text: "The request header is too large.",
  },
  internal: {
    status: 500,
    proxyError: "proxy_internal_error",
    initiator: "local",
    text: "An internal error occurred.",
  },
  target_refused: {
    status: 502,
    proxyError: "connection_refused",
    initiator: "remote",
    text: "The target refused the connection.",
  },
  target_unreachable: {
    status: 502,
    proxyError: "destination_ip_unroutable",
    initiator: "remote",
    text: "The target cannot be reached from its agent.",
  },
  target_unresolved: {
    status: 502,
    proxyError: "dns_error",
    initiator: "remote",
    text: "The target's host name does not resolve at its agent.",
  },
  target_closed: {
    status: 502,
    proxyError: "connection_terminated",
    initiator: "remote",
    text: "The target closed the connection without a complete response.",
  },
  target_protocol: {
    status: 502,
    proxyError: "http_protocol_error",
    initiator: "remote",
    text: "The target's answer is not valid HTTP.",
  },
  tunnel_lost: {
    status: 502,
    proxyError: "connection_terminated",
    initiator: "remote",
    text: "The connection to the agent was lost.",
  },
  tunnel_protocol: {
    status: 502,
    proxyError: "proxy_internal_response",
    initiator: "remote",
    text: "The agent broke the tunnel's protocol.",
  },
  runner_offline: {
    status: 503,
    proxyError: "destination_unavailable",
    initiator: "remote",
    text: "The runner is not connected.",
    retryAfterS: 5,
  },
  agent_draining: {
    status: 503,
    proxyError: "destination_unavailable",
    initiator: "remote",
    text: "The agent is shutting down.",
    retryAfterS: 2,
  },
  overloaded: {
    status: 503,
    proxyError: "connection_limit_reached",
    initiator: "remote",
    text: "Too many streams or waiting dials for this runner.",
    retryAfterS: 1,
  },
  control_plane_draining: {
    status: 503,
    proxyError: "destination_unavailable",
    initiator: "local",
    text: "The control plane is shutting down.",
    retryAfterS: 2,
  },
  target_timeout: {
    status: 504,
    proxyError: "connection_timeout",
    initiator: "remote",
    text: "The target did not accept the connection in time.",
  },
  response_timeout: {
    status: 504,
    proxyError: "http_response_timeout",
    initiator: "remote",
    text: "The target did not answer in time.",
  },
  tunnel_timeout: {
    status: 504,
    proxyError: "connection_timeout",
    initiator: "remote",
    text: "The agent did not answer in time.",
  },
  aborted: {
    status: 499,
    proxyError: "http_request_error",
    initiator: "user",
    text: "The caller gave up.",
  },
  server_unreachable: {
    status: 502,
    proxyError: "destination_unavailable",
    initiator: "remote",
    text: "The control plane cannot be reached, or its certificate is not trusted.",
  },
  carrier_failed: {
    status: 502,
    proxyError: "connection_terminated",
    initiator: "remote",
    text: "No carrier to the control plane could be established.",
  },
  relay_full: {
    status: 503,
    proxyError: "connection_limit_reached",
    initiator: "remote",
    text: "The relay passes on as many connections as it may.",
    retryAfterS: 5,
  },
  relay_loop: {
    status: 502,
    proxyError: "proxy_loop_detected",
    initiator: "remote",
    text: "The relays lead in a circle, or too many stand in a row.",
  },
  config_invalid: {
    status: 400,
    proxyError: "proxy_configuration_error",
    initiator: "user",
    text: "The configuration is not valid.",
  },
};

export function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(ERROR_TABLE, value);
}

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

/** errno of a failed target connection → our code. */
export function codeFromErrno(errno: string | undefined): ErrorCode {
  return (errno === undefined ? undefined : FROM_ERRNO[errno]) ?? "target_closed";
}

const FROM_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "bad_request",
  401: "unauthenticated",
  403: "not_allowed",
  404: "target_unknown",
  409: "runner_taken",
  426: "upgrade_required",
  431: "headers_too_large",
  500: "internal",
  502: "target_refused",
  503: "agent_draining",
  504: "target_timeout",
};

/** Status of a refused dial by a peer that gives no reason of ours → our code. */
export function codeFromStatus(status: number): ErrorCode {
  return FROM_STATUS[status] ?? "tunnel_protocol";
}

/** HTTP/2 error codes (RFC 9113 §7) of a stream that the agent reset before its response → our code. */
const FROM_RST: Readonly<Record<number, ErrorCode>> = {
  0: "target_closed", // NO_ERROR
  1: "tunnel_protocol", // PROTOCOL_ERROR
  2: "target_closed", // INTERNAL_ERROR: our abort
  7: "overloaded", // REFUSED_STREAM
  8: "target_closed", // CANCEL
  10: "target_closed", // CONNECT_ERROR
  11: "overloaded", // ENHANCE_YOUR_CALM
};

export function codeFromRst(rstCode: number): ErrorCode {
  return FROM_RST[rstCode] ?? "tunnel_protocol";
}
