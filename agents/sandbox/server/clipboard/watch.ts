/** Says when CLIPBOARD changes: one `wl-paste --watch` for all, started again when it ends. */
import type { ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import type { Display } from "../desktop/display.ts";
import { WATCH_RESTART_MAX_MS, WATCH_RESTART_MIN_MS } from "../limits.ts";
import type { Logger } from "../log.ts";
import type { Programs } from "../desktop/programs.ts";

/** A line for each change, at once; then the content is taken, because its owner may not expect a closed pipe. */
const ON_CHANGE = ["sh", "-c", "echo; exec cat >/dev/null"] as const;

export class ClipboardWatch {
  readonly #programs: Programs;
  readonly #display: Display;
  readonly #log: Logger;
  readonly #stopped = new AbortController();
  readonly #ended: Promise<void>;
  #child: ChildProcess | undefined;

  /** @param onChange also called when a watch begins, for what happened before it */
  constructor(programs: Programs, display: Display, log: Logger, onChange: () => void) {
    this.#programs = programs;
    this.#display = display;
    this.#log = log;
    this.#ended = this.#run(onChange);
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    if (this.#child !== undefined) await this.#programs.stop(this.#child);
    await this.#ended;
  }

  async #run(onChange: () => void): Promise<void> {
    const { signal } = this.#stopped;
    let pauseMs = WATCH_RESTART_MIN_MS;
    while (!signal.aborted) {
      const startedAt = performance.now();
      await this.#display
        .tryEach((socket) => this.#watch(socket, onChange))
        .catch((error: unknown) => this.#log.debug({ err: error }, "clipboard watch ended"));
      // One that worked for a while fails for a new reason.
      const worked = performance.now() - startedAt > WATCH_RESTART_MAX_MS;
      pauseMs = worked ? WATCH_RESTART_MIN_MS : Math.min(pauseMs * 2, WATCH_RESTART_MAX_MS);
      await delay(pauseMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Resolves when the watch has ended on a display that can be watched, and rejects when it can't. */
  #watch(socket: string, onChange: () => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (this.#stopped.signal.aborted) return Promise.resolve();
    const child = this.#programs.startBound("wl-paste", ["--watch", ...ON_CHANGE], {
      env: this.#display.environment(socket),
      stdio: ["ignore", "pipe", "ignore"],
    });
    this.#child = child;
    let changes = 0;
    child.stdout?.on("data", () => {
      changes += 1;
      onChange();
    });
    child.stdout?.on("error", () => {});
    const end = (error?: Error): void => {
      this.#child = undefined;
      if (changes > 0 || this.#stopped.signal.aborted) resolve();
      else reject(error ?? new Error("wl-paste --watch ended"));
    };
    child.once("error", end);
    child.once("exit", () => end());
    return promise;
  }
}
