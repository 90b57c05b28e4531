/** An event stream that is opened again after a loss, with pauses that grow and differ from page to page. */
import { signal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { ApiError } from "../api/api-error.ts";
import { stream } from "../api/client.ts";
import type { PageEvent } from "../api/event-stream.ts";
import { FIRST_RETRY_MS, MAX_RETRY_MS } from "../limits.ts";

export type LiveState =
  | { kind: "closed" }
  | { kind: "connecting" }
  | { kind: "open" }
  | { kind: "lost"; reason: string; retryAt: number };

export interface LiveOptions {
  path: string;
  query?: () => Readonly<Record<string, string | undefined>>;
  onOpen?: () => void;
  onEvent: (event: PageEvent) => void;
  /** The credential is not valid any more: no further attempt is made. */
  onRefused?: (error: ApiError) => void;
}

export class LiveStream {
  readonly state: Signal<LiveState> = signal<LiveState>({ kind: "closed" });
  readonly #options: LiveOptions;
  #run: AbortController | undefined;
  #wake: (() => void) | undefined;

  constructor(options: LiveOptions) {
    this.#options = options;
    addEventListener("online", () => this.#wake?.());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#wake?.();
    });
  }

  open(): void {
    if (this.#run !== undefined) return;
    const run = new AbortController();
    this.#run = run;
    void this.#keepOpen(run);
  }

  close(): void {
    this.#run?.abort();
    this.#run = undefined;
    this.#wake?.();
    this.state.value = { kind: "closed" };
  }

  /** With another query. */
  reopen(): void {
    this.close();
    this.open();
  }

  retryNow(): void {
    this.#wake?.();
  }

  async #keepOpen(run: AbortController): Promise<void> {
    let pauseMs = FIRST_RETRY_MS;
    while (!run.signal.aborted) {
      const set = (state: LiveState): void => {
        if (!run.signal.aborted) this.state.value = state;
      };
      if (this.state.value.kind !== "lost") set({ kind: "connecting" });
      let failure: ApiError | undefined;
      try {
        await stream(this.#options.path, {
          query: this.#options.query?.() ?? {},
          signal: run.signal,
          onOpen: () => {
            pauseMs = FIRST_RETRY_MS;
            set({ kind: "open" });
            this.#options.onOpen?.();
          },
          onEvent: (event) => {
            if (!run.signal.aborted) this.#options.onEvent(event);
          },
        });
      } catch (error) {
        if (run.signal.aborted) return;
        failure =
          error instanceof ApiError ? error : new ApiError(String(error), { status: 0, code: "page" });
      }
      if (run.signal.aborted) return;
      if (failure?.status === 401 || failure?.status === 403) {
        this.#run = undefined;
        this.state.value = { kind: "closed" };
        this.#options.onRefused?.(failure);
        return;
      }
      const jittered = pauseMs * (0.5 + Math.random() / 2);
      const waitMs = Math.max(jittered, (failure?.retryAfterS ?? 0) * 1_000);
      const reason = failure?.message ?? "The control plane has ended the stream: it restarts or stops.";
      set({ kind: "lost", reason, retryAt: Date.now() + waitMs });
      pauseMs = Math.min(pauseMs * 2, MAX_RETRY_MS);
      await this.#pause(waitMs);
    }
  }

  async #pause(waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }
}
