/**
 * Helix's error codes, and what each means on HTTP: the format of the tunnel's table (src/wire/error-table.ts), and no
 * code of it. docs/errors.md explains each to an operator.
 */
import type { ErrorRow } from "../wire/error-row.ts";
import { CodedError } from "../wire/errors.ts";
import type { TurnaboutErrorOptions } from "../wire/errors.ts";

export type HelixErrorCode =
  | "session_unknown"
  | "instance_unknown"
  | "too_many_sessions"
  | "no_instance_online"
  | "no_instance_matches"
  | "instances_full"
  | "wolf_failed";

export const HELIX_ERROR_TABLE: Readonly<Record<HelixErrorCode, ErrorRow>> = {
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
    text: "Unknown instance: no Wolf with this id has connected.",
  },
  too_many_sessions: {
    status: 429,
    proxyError: "http_request_denied",
    initiator: "user",
    text: "This user has reached the maximum number of sessions.",
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
    text: "No online Wolf instance has the requested GPU vendor or privileged mode.",
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
};

/** A refusal by Helix itself. Failures of the tunnel below stay `TurnaboutError`s. */
export class HelixError extends CodedError {
  override readonly name = "HelixError";
  readonly code: HelixErrorCode;

  constructor(code: HelixErrorCode, message: string, options: TurnaboutErrorOptions = {}) {
    super(HELIX_ERROR_TABLE[code], message, options);
    this.code = code;
  }
}
