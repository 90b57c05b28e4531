/**
 * Frames for many viewers from few captures.
 *
 * - Up to four requests a second each get a frame that was captured for them: a lone viewer never sees an old one.
 * - Above that there is a crowd. A frame is then shared for 500 ms, and the next capture begins 500 ms after the last
 *   one began: fifty viewers at 2 Hz cost two captures a second, and no frame is more than 500 ms old.
 * - Requests during a capture share its result; at most one capture runs and one waits.
 * - No caller gets a frame from before a change that this server made (input, exec, clipboard): who clicks and then
 *   looks sees the click. In a crowd that request waits for the next capture, so that input costs no captures.
 */
import { FRAME_INTERVAL_MS, LONE_REQUESTS_PER_SECOND } from "../limits.ts";
import type { FrameKind } from "./grim.ts";

export interface Frame {
  kind: FrameKind;
  bytes: Buffer;
  /** Identifies the picture: same pixels, same digest, because all frames are of one kind. */
  digest: string;
  /** Representations made from it, so that each is made once. */
  encoded: Map<string, Promise<Buffer>>;
}

interface Capture {
  startedAt: number;
  frame: Promise<Frame>;
}

export interface SharedFramesOptions {
  capture: () => Promise<Frame>;
  /** Milliseconds, monotonic. */
  now?: () => number;
}

export class SharedFrames {
  readonly #capture: () => Promise<Frame>;
  readonly #now: () => number;
  readonly #arrivals: number[] = [];
  readonly #closed = new AbortController();
  #running: Capture | undefined;
  #latest: Capture | undefined;
  #next: Promise<Frame> | undefined;
  #lastStart = Number.NEGATIVE_INFINITY;
  #changedAt = Number.NEGATIVE_INFINITY;
  #drop: NodeJS.Timeout | undefined;
  #captures = 0;

  constructor({ capture, now = () => performance.now() }: SharedFramesOptions) {
    this.#capture = capture;
    this.#now = now;
  }

  /** How often the desktop was captured. */
  get captures(): number {
    return this.#captures;
  }

  frame(): Promise<Frame> {
    const now = this.#now();
    const crowded = this.#arrive(now);
    const latest = this.#latest;
    if (crowded && latest !== undefined && now - latest.startedAt < FRAME_INTERVAL_MS) {
      if (latest.startedAt >= this.#changedAt) return latest.frame;
    }
    if (this.#running !== undefined && this.#running.startedAt >= this.#changedAt) return this.#running.frame;
    const waitMs = crowded ? this.#lastStart + FRAME_INTERVAL_MS - now : 0;
    if (this.#next === undefined && this.#running === undefined && waitMs <= 0) return this.#begin();
    return (this.#next ??= this.#beginLater(waitMs));
  }

  /** The desktop may look different now, because of something that this server did. */
  changed(): void {
    this.#changedAt = this.#now();
  }

  close(): void {
    this.#closed.abort();
    clearTimeout(this.#drop);
    this.#latest = undefined;
  }

  /** Whether this request is one of a crowd. */
  #arrive(now: number): boolean {
    this.#arrivals.push(now);
    if (this.#arrivals.length > LONE_REQUESTS_PER_SECOND + 1) this.#arrivals.shift();
    const oldest = this.#arrivals[0] ?? now;
    return this.#arrivals.length > LONE_REQUESTS_PER_SECOND && now - oldest < 1_000;
  }

  async #beginLater(waitMs: number): Promise<Frame> {
    const pause = Promise.withResolvers<void>();
    const timer = setTimeout(pause.resolve, waitMs);
    const { signal } = this.#closed;
    const onAbort = (): void => pause.resolve();
    signal.addEventListener("abort", onAbort);
    try {
      // A failure of the running one is its callers' matter.
      await Promise.all([pause.promise, this.#running?.frame.catch(() => {})]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      this.#next = undefined;
    }
    if (signal.aborted) throw new Error("server is shutting down");
    return this.#begin();
  }

  #begin(): Promise<Frame> {
    const startedAt = this.#now();
    this.#lastStart = startedAt;
    this.#captures += 1;
    const capture: Capture = { startedAt, frame: this.#capture() };
    this.#running = capture;
    capture.frame.then(
      () => {
        this.#running = undefined;
        this.#keep(capture);
      },
      () => {
        this.#running = undefined;
      },
    );
    return capture.frame;
  }

  /** For as long as it may be shared, and no longer: a 4K frame has 25 MB. */
  #keep(capture: Capture): void {
    if (this.#closed.signal.aborted) return;
    this.#latest = capture;
    clearTimeout(this.#drop);
    this.#drop = setTimeout(() => {
      this.#latest = undefined;
    }, FRAME_INTERVAL_MS);
    this.#drop.unref();
  }
}
