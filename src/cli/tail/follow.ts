/** Events of a control plane without end: a lost connection is opened again, until the credential is refused. */
import { setTimeout as delay } from "node:timers/promises";
import type { ServerEvent } from "../../clients/api/server-events.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { MAX_RECONNECT_MS, RECONNECT_MS } from "./limits.ts";

export interface FollowOptions {
  signal: AbortSignal;
  /** It was lost after it had been open. Once, until it is open again. */
  onLost: (reason: string) => void;
  onReopened: () => void;
}

/** The same request would get the same response. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "bad_request",
  "unauthenticated",
  "not_allowed",
  "not_found",
  "config_invalid",
]);

/** @param open calls back when the control plane has accepted. @throws TurnaboutError if it never has, or refuses for good */
export async function* follow(
  open: (onOpen: () => void) => AsyncGenerator<ServerEvent, void, undefined>,
  { signal, onLost, onReopened }: FollowOptions,
): AsyncGenerator<ServerEvent, void, undefined> {
  let wasOpen = false;
  let isLost = false;
  let pauseMs = RECONNECT_MS;
  const opened = (): void => {
    if (isLost) onReopened();
    wasOpen = true;
    isLost = false;
    pauseMs = RECONNECT_MS;
  };
  while (!signal.aborted) {
    let reason = "the control plane has ended it";
    try {
      yield* open(opened);
    } catch (error) {
      if (signal.aborted) return;
      if (!wasOpen || (error instanceof TurnaboutError && FINAL.has(error.code))) throw error;
      reason = toError(error).message;
    }
    if (signal.aborted) return;
    if (!isLost) onLost(reason);
    isLost = true;
    await delay(pauseMs, undefined, { signal }).catch(() => {}); // aborted: it ends
    pauseMs = Math.min(2 * pauseMs, MAX_RECONNECT_MS);
  }
}
