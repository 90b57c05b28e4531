/** The one function type that everything above the tunnel needs. */
import type { Duplex } from "node:stream";

export interface DialOptions {
  /** Gives up: the wait, or the stream while it is being opened. */
  signal?: AbortSignal;
  /** Milliseconds to wait for a runner that is not connected yet. Default 0: only the grace after a lost connection is waited out. */
  waitMs?: number;
}

/**
 * Opens a byte stream to a named target of a runner. Half-close works both ways; a reset or a lost tunnel is an
 * 'error' event, never a clean end.
 *
 * @throws TurnaboutError with the reason: `runner_unknown`, `runner_offline`, `target_unknown`, `target_refused`, …
 */
export type Dial = (runner: string, target: string, options?: DialOptions) => Promise<Duplex>;
