/**
 * The tunnel's error codes, and what each means on HTTP. A layer above has a table of its own in the same format, with
 * codes that do not occur here. `failure-codes.ts` maps errno, HTTP statuses and HTTP/2 error codes to these codes.
 *
 * Longer than 300 lines because one table has one row for each code.
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
  | "tls_required"
  | "runner_taken"
  | "already_exists"
  | "request_timeout"
  | "expectation_failed"
  | "payload_too_large"
  | "rate_limited"
  | "share_exceeded"
  | "caller_stalled"
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
  | "store_unavailable"
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
    text: "The credential does not permit this request.",
  },
  not_found: {
    status: 404,
    proxyError: "destination_not_found",
    initiator: "user",
    text: "No resource exists at this path.",
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
    text: "No runner with this id has connected, or this token does not cover it.",
  },
  target_unknown: {
    status: 404,
    proxyError: "destination_not_found",
    initiator: "user",
    text: "The runner has no target with this name.",
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
    text: "The resource already exists or is in use.",
  },
  request_timeout: {
    status: 408,
    proxyError: "http_request_error",
    initiator: "user",
    text: "The request was not completed in time.",
  },
  expectation_failed: {
    status: 417,
    proxyError: "http_request_error",
    initiator: "user",
    text: "The only supported Expect value is 100-continue.",
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
    text: "The request came too soon after the previous one.",
    retryAfterS: 3,
  },
  share_exceeded: {
    status: 429,
    proxyError: "connection_limit_reached",
    initiator: "user",
    text: "The credential has its share of streams, waits or readers already.",
    retryAfterS: 1,
  },
  caller_stalled: {
    status: 408,
    proxyError: "http_request_error",
    initiator: "user",
    text: "The caller has stopped reading.",
  },
  tls_required: {
    status: 403,
    proxyError: "http_request_denied",
    initiator: "user",
    text: "This server accepts credentials over https only. The credential was sent in plaintext: replace it.",
  },
  runner_taken: {
    status: 409,
    proxyError: "http_request_denied",
    initiator: "user",
    text: "The runner is registered by another agent.",
    retryAfterS: 30,
  },
  length_required: {
    status: 411,
    proxyError: "http_request_error",
    initiator: "user",
    text: "Content-Length is required for this request.",
  },
  not_supported: {
    status: 501,
    proxyError: "http_request_error",
    initiator: "remote",
    text: "The target's declared protocol does not support this request, such as a WebSocket.",
  },
  upgrade_required: {
    status: 426,
    proxyError: "http_request_error",
    initiator: "user",
    text: "The agent endpoint requires an upgrade to ptth, or to websocket with the sub-protocol of agents. If an agent sends one, a proxy in between has removed the Upgrade field. RevDial clients lack the sub-protocol: they are refused if too old, or by --no-revdial.",
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
    text: "The agent has no network route to the target.",
  },
  target_unresolved: {
    status: 502,
    proxyError: "dns_error",
    initiator: "remote",
    text: "The agent cannot resolve the target's host name.",
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
    text: "The target's response is not valid HTTP.",
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
    text: "The agent violated the tunnel protocol.",
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
  store_unavailable: {
    status: 503,
    proxyError: "proxy_internal_error",
    initiator: "local",
    text: "The control plane cannot save this change now.",
    retryAfterS: 5,
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
    text: "The target did not respond in time.",
  },
  tunnel_timeout: {
    status: 504,
    proxyError: "connection_timeout",
    initiator: "remote",
    text: "The agent did not respond in time.",
  },
  aborted: {
    status: 499,
    proxyError: "http_request_error",
    initiator: "user",
    text: "The caller cancelled the request.",
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
    text: "None of the carriers could connect to the control plane.",
  },
  relay_full: {
    status: 503,
    proxyError: "connection_limit_reached",
    initiator: "remote",
    text: "The relay has reached its connection limit.",
    retryAfterS: 5,
  },
  relay_loop: {
    status: 502,
    proxyError: "proxy_loop_detected",
    initiator: "remote",
    text: "The relays form a loop, or the chain of relays is too long.",
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
