/** `POST /notices`: what the control plane has to tell an agent. Unknown members are ignored, as everywhere. */
import { isErrorCode } from "../error-table.ts";
import type { ErrorCode } from "../error-table.ts";
import { isRunnerId } from "./names.ts";
import { parseReconnectSpread } from "../session/goaway.ts";

/** A runner that the agent offers, and that is not registered; its connection goes on. */
export interface RefusedNotice {
  runner: string;
  code: ErrorCode;
}

export interface Notices {
  refused: RefusedNotice[];
  /** Runners that a newer agent serves now, while this connection goes on with its others. */
  replaced: string[];
  /** Over how many milliseconds the agents of this control plane are to spread their reconnects. */
  reconnectSpreadMs?: number | undefined;
}

/** What makes no sense is left out: a notice is for people, and nothing depends on it. @throws SyntaxError */
export function parseNotices(text: string): Notices {
  const parsed: unknown = JSON.parse(text);
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
    ...(spreadMs !== undefined && { reconnectSpreadMs: spreadMs }),
  };
}

function listOf(value: unknown, name: string): unknown[] {
  const list = memberOf(value, name);
  return Array.isArray(list) ? (list as unknown[]) : [];
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
