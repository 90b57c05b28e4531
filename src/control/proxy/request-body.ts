/**
 * A caller's request body on its way to the target. Between the two, because undici destroys a body whose answer came
 * early, and that must not destroy the caller's connection before the answer has left.
 */
import { Readable } from "node:stream";
import { closeAfterResponse } from "../../wire/streams/end-stream.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import type { AnyRequest } from "../listener/messages.ts";
import { MAX_DISCARDED_BODY_BYTES } from "../limits.ts";

export class RequestBody extends Readable {
  readonly #request: AnyRequest;
  #done = false;

  /** @param prefix bytes that were read off the request already */
  constructor(request: AnyRequest, prefix: readonly Buffer[] = []) {
    super();
    this.#request = request;
    for (const chunk of prefix) this.push(chunk);
    request.on("data", this.#onData);
    request.on("end", this.#onEnd);
    request.on("error", this.#onError);
    request.on("close", this.#onClose);
    request.pause();
    if (request.readableEnded) this.#onEnd();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#request.pause();
  };
  readonly #onEnd = (): void => {
    if (this.#done) return;
    this.#done = true;
    // undici measures a body that has ended before it is read, and behind a length there are no trailers.
    const isMeasurable = this.readableFlowing === null && this.#request.rawTrailers.length > 0;
    if (isMeasurable) this.once("resume", () => this.push(null));
    else this.push(null);
  };
  readonly #onError = (cause: Error): void => {
    if (!this.#done)
      this.destroy(new TurnaboutError("aborted", "the caller broke off the request", { cause }));
  };
  readonly #onClose = (): void => {
    if (!this.#done) this.destroy(new TurnaboutError("aborted", "the caller broke off the request"));
  };

  override _read(): void {
    this.#request.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const request = this.#request;
    request.off("data", this.#onData);
    request.off("end", this.#onEnd);
    request.off("close", this.#onClose);
    if (!this.#done && !request.destroyed) discard(request);
    callback(error);
  }
}

/** Reads on for a while, so that a caller that is still sending gets to see the answer. */
export function discard(request: AnyRequest): void {
  let bytes = 0;
  request.on("error", () => {});
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes <= MAX_DISCARDED_BODY_BYTES) return;
    request.off("data", onData);
    if (!("stream" in request)) return void request.destroy();
    request.pause(); // its window stops it
    closeAfterResponse(request.stream);
  };
  request.on("data", onData);
  request.resume();
}

export interface HeldBody {
  chunks: Buffer[];
  bytes: number;
  /** The whole body is here; otherwise the request is paused behind these chunks. */
  complete: boolean;
}

/**
 * Holds a body back until it is complete, or until a bound is reached.
 *
 * @throws TurnaboutError `aborted` if the caller breaks off
 */
export async function holdBody(request: AnyRequest, mostBytes: number, mostMs?: number): Promise<HeldBody> {
  const { promise, resolve, reject } = Promise.withResolvers<HeldBody>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  const settle = (complete: boolean) => {
    request.pause();
    resolve({ chunks, bytes, complete });
  };
  const onData = (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > mostBytes) settle(false);
  };
  const onEnd = () => settle(true);
  const onClose = () => reject(new TurnaboutError("aborted", "the caller broke off the request"));
  const timer = mostMs === undefined ? undefined : setTimeout(() => settle(false), mostMs);
  request.on("data", onData);
  request.on("end", onEnd);
  request.on("close", onClose);
  request.on("error", onClose);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    request.off("data", onData);
    request.off("end", onEnd);
    request.off("close", onClose);
  }
}
