/**
 * Why a tunnel connection ends, as GOAWAY debug data (RFC 9113 §6.8). Carriers without an HTTP response (`rh2`) have no other
 * way to refuse an agent, and the agent must distinguish "replaced" from "restarting".
 */
import type { Http2Session } from "node:http2";
import { isErrorCode } from "../error-table.ts";
import type { ErrorCode } from "../error-table.ts";
import { hasEnded } from "../streams/end-stream.ts";
import { MAX_RECONNECT_SPREAD_MS } from "../limits.ts";

export type GoawayReason =
  /** This side shuts down: dial again. */
  | "draining"
  /** A newer agent holds the runner: do not compete with it. */
  | "replaced"
  /** An operator ended the connection. */
  | "kicked"
  /** The credential, or the runner that was requested with it, was refused; `message` says which. */
  | "refused";

export interface Goaway {
  reason: GoawayReason;
  message: string;
  /** With `draining`: time over which this control plane's agents spread their reconnects, in milliseconds. */
  reconnectSpreadMs?: number | undefined;
}

const MAX_MESSAGE_LENGTH = 400;
const REASONS: readonly string[] = ["draining", "replaced", "kicked", "refused"];

/** Announces the end; open streams may finish. The caller closes the session afterwards. */
export function sendGoaway(http2Session: Http2Session, goaway: Goaway): void {
  if (hasEnded(http2Session)) return;
  const text = JSON.stringify({
    reason: goaway.reason,
    message: goaway.message.slice(0, MAX_MESSAGE_LENGTH),
    reconnectSpreadMs: goaway.reconnectSpreadMs,
  });
  http2Session.goaway(0, 0, Buffer.from(text)); // NO_ERROR: any other code would destroy the peer's session at once
}

/** Undefined if the peer gave no reason of ours (node sends several GOAWAYs for one drain, most of them bare). */
export function parseGoaway(data: Uint8Array | undefined): Goaway | undefined {
  if (data === undefined || data.length === 0 || data.length > 4_096) return undefined;
  try {
    const value = JSON.parse(Buffer.from(data).toString("utf8")) as Partial<Record<string, unknown>>;
    const { reason, message } = value;
    if (typeof reason !== "string" || !REASONS.includes(reason)) return undefined;
    const spreadMs = parseReconnectSpread(value["reconnectSpreadMs"]);
    return {
      reason: reason as GoawayReason,
      ...(spreadMs !== undefined && { reconnectSpreadMs: spreadMs }),
      message: (typeof message === "string" ? message : "").slice(0, MAX_MESSAGE_LENGTH),
    };
  } catch {
    return undefined;
  }
}

/** The message of one that refuses begins with our code: `runner_taken: The runner is registered by another agent.` */
export function refusalCode(message: string): ErrorCode {
  const [code = ""] = message.split(":", 1);
  return isErrorCode(code) ? code : "not_allowed";
}

/** Undefined if it is not an integer from 0 to {@link MAX_RECONNECT_SPREAD_MS}. */
export function parseReconnectSpread(value: unknown): number | undefined {
  if (typeof value !== "number" || !Number.isInteger(value)) return undefined;
  return value >= 0 && value <= MAX_RECONNECT_SPREAD_MS ? value : undefined;
}
