/**
 * One response of server-sent events. It is written to node's response and not through Hono, whose stream helper waits
 * for a slow reader without bound.
 */
import { ServerResponse } from "node:http";
import { resetStream } from "../../wire/streams/end-stream.ts";
import { EVENT_END_TIMEOUT_MS, EVENT_KEEPALIVE_MS, MAX_UNSENT_EVENT_BYTES } from "../limits.ts";
import type { AnyResponse } from "../listener/messages.ts";
import { writeHead } from "../listener/response-writer.ts";
import type { Delivery } from "../shares/unread-bytes.ts";

export class EventStream {
  readonly #response: AnyResponse;
  #writtenBytes = 0;
  #isEnding = false;

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
      onClose();
    });
    this.#write(": connected\n\n");
  }

  send(type: string, data: unknown): void {
    this.#write(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** For a reader that does not read, and stays below the bound of unsent bytes. */
  delivery(holder: string): Delivery {
    return {
      holder,
      end: this.#response,
      writtenBytes: () => this.#writtenBytes,
      heldBytes: () => 0,
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

  #write(text: string): void {
    this.#writtenBytes += Buffer.byteLength(text);
    write(this.#response, text);
    if (unsentBytes(this.#response) > MAX_UNSENT_EVENT_BYTES) cut(this.#response);
  }
}

function write(response: AnyResponse, text: string): void {
  if (response.writableEnded) return;
  if (response instanceof ServerResponse) response.write(text);
  else if (!response.stream.destroyed) response.write(text);
}

function unsentBytes(response: AnyResponse): number {
  return response instanceof ServerResponse ? response.writableLength : response.stream.writableLength;
}

function cut(response: AnyResponse): void {
  if (response instanceof ServerResponse) response.destroy();
  else resetStream(response.stream, new Error("the reader is too slow"));
}
