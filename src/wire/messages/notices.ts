/** `POST /notices`: what the control plane reports to an agent. Unknown members are ignored, as everywhere. */
import { parseBoundedJson } from "./bounded-json.ts";
import { isErrorCode } from "../error-table.ts";
import type { ErrorCode } from "../error-table.ts";
import { isRunnerId, isTargetName } from "./names.ts";
import type { Destination } from "./names.ts";
import { isRequestId } from "./request-id.ts";
import { parseReconnectSpread } from "../session/goaway.ts";

/** A runner that the agent offers and the control plane does not register. The connection stays open. */
export interface RefusedNotice {
  runner: string;
  code: ErrorCode;
}

/** A request whose target was reached, and has sent no response. */
export interface SilentNotice extends Destination {
  requestId: string;
  /** How long it had been waited for. */
  waitedMs?: number | undefined;
  /** A part of the response's header had come. */
  begun?: boolean | undefined;
}

/** A request whose target has sent a response that is not valid, or has closed before its end. */
export interface FaultyNotice extends SilentNotice {
  code: FaultyCode;
  /** The header was complete: it was the content that failed. */
  content?: boolean | undefined;
}

const FAULTY_CODES = ["target_closed", "target_protocol"] as const;
export type FaultyCode = (typeof FAULTY_CODES)[number];

export interface Notices {
  refused: RefusedNotice[];
  /** Runners that a newer agent serves now; this connection keeps its others. */
  replaced: string[];
  /** Targets without a response. */
  silent: SilentNotice[];
  /** Targets whose response has failed. */
  faulty: FaultyNotice[];
  /** Time over which the agents of this control plane spread their reconnects, in milliseconds. */
  reconnectSpreadMs?: number | undefined;
  /** Another process of the control plane listens at the same address: connect there, and serve this connection on. */
  restarting?: boolean | undefined;
}

/** Invalid entries are left out. @throws SyntaxError */
export function parseNotices(text: string): Notices {
  const parsed = parseBoundedJson(text);
  const spreadMs = parseReconnectSpread(memberOf(parsed, "reconnectSpreadMs"));
  return {
    refused: listOf(parsed, "refused").flatMap((entry) => {
      const { runner, code } = (entry ?? {}) as { runner?: unknown; code?: unknown };
      if (typeof runner !== "string" || !isRunnerId(runner)) return [];
      return [{ runner, code: typeof code === "string" && isErrorCode(code) ? code : "internal" }];
    }),
    replaced: listOf(parsed, "replaced")
      .filter((id) => typeof id === "string")
      .filter(isRunnerId),
    silent: listOf(parsed, "silent").flatMap(silentNotice),
    faulty: listOf(parsed, "faulty").flatMap(faultyNotice),
    ...(spreadMs !== undefined && { reconnectSpreadMs: spreadMs }),
    ...(memberOf(parsed, "restarting") === true && { restarting: true }),
  };
}

function silentNotice(entry: unknown): SilentNotice[] {
  const members = (entry ?? {}) as Partial<Record<keyof SilentNotice, unknown>>;
  const { runner, target, requestId, waitedMs, begun } = members;
  const isDestination =
    typeof runner === "string" && isRunnerId(runner) && typeof target === "string" && isTargetName(target);
  if (!isDestination || !isRequestId(requestId)) return [];
  const isTime = typeof waitedMs === "number" && Number.isInteger(waitedMs) && waitedMs >= 0;
  return [{ runner, target, requestId, begun: begun === true, ...(isTime && { waitedMs }) }];
}

function faultyNotice(entry: unknown): FaultyNotice[] {
  const { code: given, content } = (entry ?? {}) as Partial<Record<keyof FaultyNotice, unknown>>;
  const code = FAULTY_CODES.find((known) => known === given);
  if (code === undefined) return [];
  return silentNotice(entry).map((notice) => ({ ...notice, code, content: content === true }));
}

function listOf(value: unknown, name: string): unknown[] {
  const list = memberOf(value, name);
  return Array.isArray(list) ? (list as unknown[]) : [];
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
