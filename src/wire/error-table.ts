/**
 * The tunnel's error codes, and what each means on HTTP. A layer above has a table of its own in the same format, with
 * codes that do not occur here. `failure-codes.ts` maps errno, HTTP statuses and HTTP/2 error codes to these codes.
 */
import type { ErrorRow } from "./error-row.ts";

export type ErrorCode =
  | "bad_request"
  | "unauthenticated"
  | "not_allowed"
  | "not_found"
  | "method_not_allowed"
  | "runner_unknown"
  | "target_unknown"
  | "origin_not_allowed"
  | "runner_taken"
  | "already_exists"
  | "request_timeout"
  | "expectation_failed"
  | "payload_too_large"
  | "rate_limited"
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

export const ERROR_TABLE: Readonly<Record<ErrorCode, ErrorRow>> = {
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
    text: "This is the agent endpoint: upgrade to ptth or websocket.",
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
