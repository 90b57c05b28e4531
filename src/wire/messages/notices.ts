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

/** A target that was reached, and has sent no response to a request in time. */
export interface SilentNotice extends Destination {
  requestId: string;
}

export interface Notices {
  refused: RefusedNotice[];
  /** Runners that a newer agent serves now; this connection keeps its others. */
  replaced: string[];
  /** Targets without a response. */
  silent: SilentNotice[];
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
    ...(spreadMs !== undefined && { reconnectSpreadMs: spreadMs }),
    ...(memberOf(parsed, "restarting") === true && { restarting: true }),
  };
}

function silentNotice(entry: unknown): SilentNotice[] {
  const { runner, target, requestId } = (entry ?? {}) as Partial<Record<keyof SilentNotice, unknown>>;
  const isDestination =
    typeof runner === "string" && isRunnerId(runner) && typeof target === "string" && isTargetName(target);
  return isDestination && isRequestId(requestId) ? [{ runner, target, requestId }] : [];
}

function listOf(value: unknown, name: string): unknown[] {
  const list = memberOf(value, name);
  return Array.isArray(list) ? (list as unknown[]) : [];
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
