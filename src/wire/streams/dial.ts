/** The interface between the tunnel and its users. */
import type { Duplex } from "node:stream";

export interface DialOptions {
  /** Aborts the wait for the runner, or the opening of the stream. */
  signal?: AbortSignal;
  /** Milliseconds to wait for a runner that is not connected yet. Default 0: waits only in the grace period after a lost connection. */
  waitMs?: number;
  /**
   * Resolves without waiting for the target: bytes that are written at once leave with the dial, which so costs no round trip of
   * its own. A refusal is then the stream's 'error', with the same codes, and what was written is lost; the target has seen nothing
   * of it. Default false.
   */
  early?: boolean;
}

/**
 * Opens a byte stream to a named target of a runner. Half-close works both ways; a reset or a lost tunnel is an
 * 'error' event, never a clean end.
 *
 * @throws TurnaboutError with the reason: `runner_unknown`, `runner_offline`, `target_unknown`, `target_refused`, …
 */
export type Dial = (runner: string, target: string, options?: DialOptions) => Promise<Duplex>;
