/**
 * A caller's request body on its way to the target. It stands between the two because undici destroys a body whose response
 * came early, and that must not destroy the caller's connection before the response has been sent.
 */
import { Readable } from "node:stream";
import { closeAfterResponse } from "../../wire/streams/end-stream.ts";
import { GrowingBuffer } from "../../wire/streams/growing-buffer.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import type { LateContent, RequestFraming } from "../http1-target/request-framing.ts";
import type { TargetPool } from "../http1-target/target-pools.ts";
import type { AnyRequest } from "../listener/messages.ts";
import { LATE_CONTENT_MS } from "./limits.ts";
import { SmallPieces } from "./small-pieces.ts";
import {
  MAX_DISCARDED_BODY_BYTES,
  MAX_MEASURED_BODY_BYTES,
  UNKNOWN_TARGET_HOLD_BYTES,
  UNKNOWN_TARGET_HOLD_MS,
} from "../limits.ts";

/**
 * The body in a form that the target can read. Chunked is only for a target that is known to speak HTTP/1.1
 * (RFC 9112 §6.1).
 *
 * @param record counts its bytes
 * @throws TurnaboutError `length_required` where an HTTP/1.0 target would need it, `aborted` if the caller breaks off
 */
export async function bodyFor(
  target: Pick<TargetPool, "version">,
  request: AnyRequest,
  record: { bytesIn: number },
): Promise<Buffer | Readable> {
  const isMeasured = request.headers["content-length"] !== undefined;
  if (isMeasured || target.version === "1.1" || target.version === "2")
    return new RequestBody(request, record);
  const held = await hold(target, request);
  record.bytesIn += held.bytes.length;
  const isChunked = target.version === "unknown" && request.rawTrailers.length > 0; // a Buffer would lose them
  if (held.complete && !isChunked) return held.bytes;
  if (target.version === "1.0") {
    discard(request);
    throw new TurnaboutError(
      "length_required",
      `a body of more than ${MAX_MEASURED_BODY_BYTES} bytes without Content-Length, for an HTTP/1.0 target`,
    );
  }
  return new RequestBody(request, record, held.bytes);
}

/** Until it is complete, or as much of it as can be kept. */
async function hold(target: Pick<TargetPool, "version">, request: AnyRequest): Promise<HeldBody> {
  if (target.version !== "1.0") return holdBody(request, UNKNOWN_TARGET_HOLD_BYTES, UNKNOWN_TARGET_HOLD_MS);
  if (request.method !== "GET" && request.method !== "HEAD")
    return holdBody(request, MAX_MEASURED_BODY_BYTES);
  // Their content has no meaning (RFC 9110 §9.3.1): where none has come by then, it is not waited for.
  const start = await holdBody(request, 0, UNKNOWN_TARGET_HOLD_MS);
  if (start.complete) return start;
  if (start.bytes.length > 0) {
    request.unshift(start.bytes);
    return holdBody(request, MAX_MEASURED_BODY_BYTES);
  }
  discard(request);
  return { bytes: start.bytes, complete: true };
}

class RequestBody extends Readable implements LateContent {
  framing: RequestFraming | undefined;
  readonly #request: AnyRequest;
  readonly #record: { bytesIn: number };
  readonly #pieces = new SmallPieces((bytes) => this.#pass(bytes));
  #done = false;
  #hasContent = false;
  #lateTimer: NodeJS.Timeout | undefined;

  /** @param prefix bytes that were read off the request already */
  constructor(request: AnyRequest, record: { bytesIn: number }, prefix?: Buffer) {
    super();
    this.#request = request;
    this.#record = record;
    if (prefix !== undefined && prefix.length > 0) this.push(prefix);
    else if (request.headers["content-length"] === undefined) this.once("resume", this.#onStart);
    request.on("data", this.#onData);
    request.on("end", this.#onEnd);
    request.on("error", this.#onError);
    request.on("close", this.#onClose);
    request.pause();
    if (request.readableEnded) this.#onEnd();
  }

  readonly #onStart = (): void => {
    if (this.#done || this.#hasContent) return;
    const writeHead = (): void => this.framing?.writeHead(this);
    this.#lateTimer = setTimeout(writeHead, LATE_CONTENT_MS);
  };
  readonly #onData = (chunk: Buffer): void => {
    this.#record.bytesIn += chunk.length;
    this.#pieces.add(chunk);
  };
  readonly #onEnd = (): void => {
    if (this.#done) return;
    clearTimeout(this.#lateTimer);
    this.#pieces.flush();
    this.#done = true;
    // undici measures a body that has ended before it is read, and behind a length there are no trailers.
    const isMeasurable = this.readableFlowing === null && this.#request.rawTrailers.length > 0;
    if (isMeasurable) this.once("resume", () => this.push(null));
    else this.push(null);
  };
  readonly #onError = (cause: Error): void => {
    if (!this.#done) this.destroy(new TurnaboutError("aborted", "the caller aborted the request", { cause }));
  };
  readonly #onClose = (): void => {
    if (!this.#done) this.destroy(new TurnaboutError("aborted", "the caller aborted the request"));
  };

  #pass(bytes: Buffer): boolean {
    this.#hasContent = true;
    clearTimeout(this.#lateTimer);
    const hasRoom = this.destroyed || this.push(bytes);
    if (!hasRoom) this.#request.pause();
    return hasRoom;
  }

  override _read(): void {
    this.#request.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const request = this.#request;
    clearTimeout(this.#lateTimer);
    request.off("data", this.#onData);
    request.off("end", this.#onEnd);
    request.off("close", this.#onClose);
    if (!this.#done && !request.destroyed) discard(request);
    callback(error);
  }
}

/** Keeps reading for a while, so that a caller that is still sending receives the response. */
export function discard(request: AnyRequest): void {
  let bytes = 0;
  request.on("error", () => {});
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes <= MAX_DISCARDED_BODY_BYTES) return;
    request.off("data", onData);
    if (!("stream" in request)) return void request.destroy();
    request.pause(); // flow control stops the caller
    closeAfterResponse(request.stream);
  };
  request.on("data", onData);
  request.resume();
}

interface HeldBody {
  bytes: Buffer;
  /** The whole body was read; otherwise the request is paused after these bytes. */
  complete: boolean;
}

/**
 * Buffers a body until it is complete or a limit is reached.
 *
 * @throws TurnaboutError `aborted` if the caller breaks off
 */
async function holdBody(request: AnyRequest, maxBytes: number, maxMs?: number): Promise<HeldBody> {
  const { promise, resolve, reject } = Promise.withResolvers<HeldBody>();
  let held = new GrowingBuffer();
  const settle = (complete: boolean) => {
    request.pause();
    resolve({ bytes: held.take(), complete });
  };
  const onData = (chunk: Buffer) => {
    if (held.length === 0) held = new GrowingBuffer(chunk);
    else held.append(chunk);
    if (held.length > maxBytes) settle(false);
  };
  const onEnd = () => settle(true);
  const onClose = () => reject(new TurnaboutError("aborted", "the caller aborted the request"));
  const timer = maxMs === undefined ? undefined : setTimeout(() => settle(false), maxMs);
  request.on("data", onData);
  request.on("end", onEnd);
  request.on("close", onClose);
  request.on("error", onClose);
  request.resume();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    request.off("data", onData);
    request.off("end", onEnd);
    request.off("close", onClose);
  }
}
