/**
 * A caller that is being served: given up when it disconnects, cut off when its credential is revoked or its group
 * of runners is closed. HTTP requests, WebSockets and CONNECT tunnels all begin with one.
 */
import type { EventEmitter } from "node:events";
import { TurnaboutError } from "../../wire/errors.ts";
import type { ActiveStreams, CloseReason } from "../auth/active-streams.ts";
import type { Identity } from "../auth/identity.ts";

export interface RevocableCallerOptions {
  /** Aborted when the caller has disconnected, where its stream does not emit 'close' for that. */
  disconnected?: AbortSignal | undefined;
  /** The caller has closed before {@link RevocableCaller.complete}. */
  onDisconnect?: (() => void) | undefined;
  /** Whether it does not end by itself. Default: it does not. */
  isEndless?: (() => boolean) | undefined;
}

export class RevocableCaller {
  readonly #abort = new AbortController();
  #onClose: ((reason: CloseReason) => void) | undefined;
  #unregister = (): void => {};
  #closed: CloseReason | undefined;
  #isComplete = false;
  readonly #isEndless: () => boolean;

  /** @param stream the caller's socket, stream or response */
  constructor(stream: EventEmitter, options: RevocableCallerOptions = {}) {
    const { disconnected, onDisconnect, isEndless = () => true } = options;
    this.#isEndless = isEndless;
    disconnected?.addEventListener("abort", () => this.#abort.abort(), { once: true });
    stream.on("error", () => {}); // permanent: 'error' can come after 'end'; 'close' always follows
    stream.once("close", () => {
      this.release();
      if (this.#isComplete) return;
      this.#abort.abort();
      onDisconnect?.();
    });
  }

  /** Aborted when the caller has disconnected or was closed from our side: gives up a dial. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Why it was closed from our side; undefined if it was not. */
  get closed(): CloseReason | undefined {
    return this.#closed;
  }

  /** From now on it can be closed from our side, until its stream closes or {@link release}. */
  register(streams: ActiveStreams, owner: { identity: Identity; group?: string | undefined }): void {
    const { identity, group } = owner;
    const isEndless = this.#isEndless;
    this.#unregister = streams.add({
      identity,
      group,
      get isEndless() {
        return isEndless();
      },
      close: (reason) => this.#close(reason),
    });
  }

  /** How it is closed once the signal no longer ends it. Replaces what was given before. */
  onClose(close: (reason: CloseReason) => void): void {
    this.#onClose = close;
  }

  /** All of its response is written: its 'close' is no disconnect. */
  complete(): void {
    this.#isComplete = true;
  }

  /** It can no longer be closed from our side. */
  release(): void {
    this.#unregister();
  }

  /** What to report for a failure of its dial, which is only aborted where we have closed it. */
  reasonFor(cause: unknown): unknown {
    return this.#closed === undefined ? cause : closedError(this.#closed, cause);
  }

  #close(reason: CloseReason): void {
    this.#closed = reason;
    this.#abort.abort();
    this.#onClose?.(reason);
  }
}

export function closedError({ kind, text }: CloseReason, cause?: unknown): TurnaboutError {
  return new TurnaboutError(kind === "restarting" ? "control_plane_draining" : "not_allowed", text, {
    cause,
  });
}
