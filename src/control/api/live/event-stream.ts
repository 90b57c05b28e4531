/**
 * One response of server-sent events. It is written to node's response and not through Hono, whose stream helper waits
 * for a slow reader without bound.
 */
import { ServerResponse } from "node:http";
import { resetStream } from "../../../wire/streams/end-stream.ts";
import { EVENT_END_TIMEOUT_MS, EVENT_KEEPALIVE_MS, MAX_UNSENT_EVENT_BYTES } from "./limits.ts";
import type { AnyResponse } from "../../listener/messages.ts";
import { writeHead } from "../../listener/response-writer.ts";
import type { Delivery } from "../../shares/unread-bytes.ts";

export class EventStream {
  readonly #response: AnyResponse;
  #writtenBytes = 0;
  #isEnding = false;
  #isFull = false;
  #isClosed = false;

  constructor(response: AnyResponse) {
    this.#response = response;
    writeHead(response, 200, {
      "content-type": "text/event-stream",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
    });
  }

  /** @param onClose the stream has ended, for any reason */
  start(onClose: () => void): void {
    const response = this.#response;
    response.on("error", () => {}); // permanently; `close` follows
    const keepalive = setInterval(() => this.#write(": keepalive\n\n"), EVENT_KEEPALIVE_MS);
    keepalive.unref();
    response.once("close", () => {
      clearInterval(keepalive);
      this.#isClosed = true;
      onClose();
    });
    this.#write(": connected\n\n");
  }

  send(type: string, data: unknown): void {
    this.#write(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /**
   * Events in the form that they are sent in. What comes next should wait for it.
   *
   * @returns whether the stream is still open, once its reader has room for more
   */
  async sendPaced(events: string): Promise<boolean> {
    this.#write(events);
    if (this.#isFull && !this.#isClosed) await this.#drained();
    return !this.#isClosed && !this.#isEnding;
  }

  /**
   * For a reader that does not read, and stays below the bound of unsent bytes.
   *
   * @param heldBytes what waits for it elsewhere
   */
  delivery(holder: string, heldBytes: () => number = () => 0): Delivery {
    return {
      holder,
      end: this.#response,
      writtenBytes: () => this.#writtenBytes,
      heldBytes,
      stop: () => cut(this.#response),
    };
  }

  /** Idempotent: each change of tokens may call it. A reader that does not read the end in time is cut off. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const response = this.#response;
    response.end();
    const timer = setTimeout(() => cut(response), EVENT_END_TIMEOUT_MS);
    response.once("close", () => clearTimeout(timer));
  }

  async #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const response = this.#response;
    response.once("drain", resolve);
    response.once("close", resolve);
    await promise;
    response.off("drain", resolve);
    response.off("close", resolve);
  }

  #write(text: string): void {
    this.#writtenBytes += Buffer.byteLength(text);
    this.#isFull = !write(this.#response, text);
    if (unsentBytes(this.#response) > MAX_UNSENT_EVENT_BYTES) cut(this.#response);
  }
}

/** @returns false if more should wait for `drain` */
function write(response: AnyResponse, text: string): boolean {
  if (response.writableEnded) return true;
  if (response instanceof ServerResponse) return response.write(text);
  return response.stream.destroyed || response.write(text);
}

function unsentBytes(response: AnyResponse): number {
  return response instanceof ServerResponse ? response.writableLength : response.stream.writableLength;
}

function cut(response: AnyResponse): void {
  if (response instanceof ServerResponse) response.destroy();
  else resetStream(response.stream, new Error("the reader is too slow"));
}
