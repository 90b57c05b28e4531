/**
 * Stand-by: what an agent process does after a newer process with the same runner has replaced it.
 *
 * It stays connected, and registers behind the newer process. When that one leaves, the control plane promotes the
 * stand-by, whose connections are open already (src/control/registry/runner-lifecycle.ts): a takeover needs no
 * new dial. Where the control plane keeps no more stand-bys, it refuses with `runner_taken`, and the process offers
 * itself again and again, so that it can take over within {@link STANDBY_DELAY_MS}.
 */
import { HEADER } from "../../wire/protocol.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { STANDBY_CONNECT_MS, STANDBY_DELAY_MS } from "../limits.ts";

/** Shared by the connection slots of an agent. */
export class StandBy {
  readonly #maxRetryDelayMs: number;
  #isActive = false;

  /** @param maxRetryDelayMs longest pause before a refused stand-by offers itself again. Default {@link STANDBY_DELAY_MS} */
  constructor(maxRetryDelayMs: number = STANDBY_DELAY_MS) {
    this.#maxRetryDelayMs = maxRetryDelayMs;
  }

  /** This process has been replaced, and registers only behind other processes. */
  get isActive(): boolean {
    return this.#isActive;
  }

  /** Permanent: a process that was replaced once must not claim to be the newest again. */
  begin(): void {
    this.#isActive = true;
  }

  /** Fields of the upgrade request that ask for a place behind the newer process. */
  requestFields(): Record<string, string> {
    return this.#isActive ? { [HEADER.standby]: "1" } : {};
  }

  /** Milliseconds until a process that has just been replaced connects again: short, so that it can take over soon. */
  connectDelayMs(): number {
    return Math.round(Math.random() * Math.min(STANDBY_CONNECT_MS, this.retryDelayMs()));
  }

  /** Whether the control plane has no room for this stand-by now. That is not a failure. */
  isRefused(error: Error): boolean {
    return this.#isActive && error instanceof TurnaboutError && error.code === "runner_taken";
  }

  /** Milliseconds until a refused stand-by offers itself again: half to all of the longest pause. */
  retryDelayMs(): number {
    const maxMs = this.#maxRetryDelayMs;
    return Math.round(maxMs / 2 + (Math.random() * maxMs) / 2);
  }
}
