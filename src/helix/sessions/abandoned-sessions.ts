/**
 * Ends sessions whose users can no longer reach them: no token of the owner has been valid for a time that the operator
 * names. A token is one way to come in and not the user, so its end alone ends no session.
 */
import type { Logger } from "../../wire/log.ts";
import { ABANDONED_CHECK_MS } from "../limits.ts";
import type { Session, SessionStore } from "../store/sessions.ts";

/** However short the time is, looking takes less than a thousandth of the loop. */
const MIN_CHECK_MS = 100;

export interface AbandonedSessionsContext {
  /** How long an owner may be without a valid token. */
  limitMs: number;
  /** Users with a valid token. */
  owners(): ReadonlySet<string>;
  store: Pick<SessionStore, "list">;
  /** A failure is retried by whoever removes it. */
  remove(session: Session): Promise<unknown>;
  log: Logger;
}

export class AbandonedSessions {
  readonly #context: AbandonedSessionsContext;
  readonly #timer: NodeJS.Timeout;
  /** Owners without a token, since when: of the monotonic clock, so that a corrected clock ends nothing. */
  readonly #since = new Map<string, number>();

  constructor(context: AbandonedSessionsContext) {
    this.#context = context;
    const intervalMs = Math.min(Math.max(context.limitMs, MIN_CHECK_MS), ABANDONED_CHECK_MS);
    this.#timer = setInterval(() => this.check(), intervalMs);
    this.#timer.unref();
  }

  /** Leaves no timer. */
  close(): void {
    clearInterval(this.#timer);
  }

  check(now: number = performance.now()): void {
    const { limitMs, log, store } = this.#context;
    const owners = this.#context.owners();
    const abandoned = store.list().filter(({ owner, state }) => state !== "stopping" && !owners.has(owner));
    const byOwner = Map.groupBy(abandoned, ({ owner }) => owner);
    for (const owner of this.#since.keys()) if (!byOwner.has(owner)) this.#since.delete(owner);
    for (const [owner, sessions] of byOwner) {
      const since = this.#since.get(owner);
      const fields = { owner, sessions: sessions.length };
      if (since === undefined) {
        this.#since.set(owner, now);
        log.warn(
          { ...fields, endInS: limitMs / 1_000 },
          "no token of the owner is valid: its sessions will end",
        );
      } else if (now - since >= limitMs) {
        log.warn(fields, "no token of the owner was valid for the configured time: its sessions end");
        for (const session of sessions) this.#remove(session);
      }
    }
  }

  #remove(session: Session): void {
    this.#context.remove(session).catch((error: unknown) => {
      this.#context.log.error({ session: session.id, err: error }, "abandoned session not ended");
    });
  }
}
