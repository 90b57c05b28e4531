/**
 * `WS /ws/clipboard`: the current content as the first message, then each change of CLIPBOARD.
 *
 * The messages are those of `GET /clipboard`. A listener that already has a content does not get it again. A listener that does not read what is sent is closed with 1013.
 */
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { WebSocket } from "ws";
import type { Display } from "../desktop/display.ts";
import { MAX_UNTAKEN_BYTES, PUSH_READ_ATTEMPTS, PUSH_READ_PAUSE_MS } from "../limits.ts";
import type { Logger } from "../log.ts";
import type { Programs } from "../desktop/programs.ts";
import { closeSocket } from "../http/websocket.ts";
import { EMPTY, formatClipboard } from "./message.ts";
import type { Clipboard, ClipboardContent } from "./selection.ts";
import { ClipboardWatch } from "./watch.ts";

export interface ClipboardPushOptions {
  clipboard: Clipboard;
  programs: Programs;
  display: Display;
  log: Logger;
  /** For listeners that are too slow. */
  closeTimeoutMs?: number | undefined;
}

export class ClipboardPush {
  readonly #options: ClipboardPushOptions;
  /** Each with the digest of what it got last. */
  readonly #listeners = new Map<WebSocket, string>();
  #watch: ClipboardWatch | undefined;
  #dirty = false;
  #sending: Promise<void> | undefined;

  constructor(options: ClipboardPushOptions) {
    this.#options = options;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  get watching(): boolean {
    return this.#watch?.running ?? false;
  }

  add(socket: WebSocket): void {
    this.#listeners.set(socket, "");
    socket.once("close", () => {
      this.#listeners.delete(socket);
      if (this.#listeners.size === 0) this.#stop();
    });
    const { programs, display, log } = this.#options;
    this.#watch ??= new ClipboardWatch(programs, display, log, () => this.changed());
    this.changed();
  }

  /** The clipboard may have changed: reads it and sends it to clients that do not have it. */
  changed(): void {
    if (this.#listeners.size === 0) return;
    this.#dirty = true;
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#listeners.keys()) closeSocket(socket, 1001, "server is shutting down");
    await this.#watch?.stop();
    await this.#sending;
  }

  #stop(): void {
    const watch = this.#watch;
    this.#watch = undefined;
    watch
      ?.stop()
      .catch((error: unknown) =>
        this.#options.log.warn({ err: error }, "clipboard watch could not be stopped"),
      );
  }

  /** How long to retry: a change that cannot be read now would not be pushed later either. */
  async #read(): Promise<ClipboardContent | undefined> {
    const { clipboard, log } = this.#options;
    for (let attempt = 1; attempt <= PUSH_READ_ATTEMPTS; attempt += 1) {
      try {
        return await clipboard.readOrFail();
      } catch (error) {
        log.debug({ err: error, attempt }, "clipboard not read");
        await delay(PUSH_READ_PAUSE_MS);
      }
    }
    return clipboard.read();
  }

  async #send(): Promise<void> {
    while (this.#dirty && this.#listeners.size > 0) {
      this.#dirty = false;
      const content = await this.#read();
      // One buffer for all listeners.
      const message = Buffer.from(formatClipboard(content ?? EMPTY));
      const digest = createHash("sha256").update(message).digest("base64");
      for (const [socket, last] of this.#listeners) {
        if (last === digest || socket.readyState !== socket.OPEN) continue;
        if (socket.bufferedAmount > MAX_UNTAKEN_BYTES) {
          closeSocket(socket, 1013, "too slow", this.#options.closeTimeoutMs);
          continue;
        }
        this.#listeners.set(socket, digest);
        socket.send(message, { binary: false }, () => {});
      }
    }
    this.#dirty = false;
  }
}
