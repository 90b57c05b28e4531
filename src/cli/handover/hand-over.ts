/**
 * The order of a hand-over. Whoever has started the successor runs it: the serving process itself, or its supervisor.
 *
 * 1. The successor checks its options, files and certificates. Until here nothing has changed.
 * 2. The serving process closes its store; it goes on serving.
 * 3. The successor opens the store and listens, on the same socket.
 *
 * If any of it fails or lasts too long, the successor is ended, and the serving process opens its store again.
 */
import { joinReasons } from "../../wire/errors.ts";
import { UPGRADE_LIMIT_MS } from "./limits.ts";
import { UpgradeError } from "./upgrade-error.ts";

/** The process that serves. */
export interface Incumbent {
  /** Closes the store and frees its lock. */
  release(): Promise<void>;
  /** Undoes it. The successor has ended by then. */
  reopen(): Promise<void>;
}

/** The process that is to serve in its place. The promises reject when it ends. */
export interface Successor {
  readonly prepared: Promise<void>;
  readonly listening: Promise<void>;
  takeOver(): void;
  /** Ends it at once, and waits for its end: its lock is free only then. */
  kill(): Promise<void>;
}

export interface HandOverOptions {
  /** Aborted when the serving process is to end. */
  signal: AbortSignal;
  limitMs?: number;
}

/** @throws UpgradeError after everything has been undone, as far as possible */
export async function handOver(
  incumbent: Incumbent,
  successor: Successor,
  { signal, limitMs = UPGRADE_LIMIT_MS }: HandOverOptions,
): Promise<void> {
  using limit = new Limit(limitMs, signal);
  let released = false;
  try {
    await limit.race(successor.prepared, "check its options and files");
    released = true;
    await limit.race(incumbent.release(), "get the store from the old one");
    successor.takeOver();
    await limit.race(successor.listening, "open the store and listen");
  } catch (error) {
    await successor.kill();
    if (released) await reopen(incumbent, error as Error);
    throw error;
  }
}

async function reopen(incumbent: Incumbent, cause: Error): Promise<void> {
  try {
    await incumbent.reopen();
  } catch (error) {
    throw new UpgradeError(
      joinReasons([cause.message, `then the store could not be opened again: ${(error as Error).message}`]),
      "restart the process when the data directory is in order",
    );
  }
}

class Limit implements Disposable {
  readonly #limitMs: number;
  readonly #ended = Promise.withResolvers<never>();
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  #phase = "";

  constructor(limitMs: number, signal: AbortSignal) {
    this.#limitMs = limitMs;
    this.#signal = signal;
    this.#ended.promise.catch(() => {}); // also if nothing races with it
    this.#timer = setTimeout(() => {
      const message = `the successor took more than ${this.#limitMs / 1_000} s to ${this.#phase}`;
      this.#ended.reject(new UpgradeError(message, "its log lines say what it waited for"));
    }, limitMs);
    const onAbort = (): void =>
      this.#ended.reject(new UpgradeError("the process is to end", "a signal came during the upgrade"));
    this.#onAbort = onAbort;
    signal.addEventListener("abort", this.#onAbort, { once: true });
    if (signal.aborted) this.#onAbort();
  }

  async race(work: Promise<void>, phase: string): Promise<void> {
    this.#phase = phase;
    await Promise.race([work, this.#ended.promise]);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#onAbort);
  }
}
