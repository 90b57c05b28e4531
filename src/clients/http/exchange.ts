/**
 * One HTTP request over one dialled stream, by undici.
 *
 * Connections are not reused: Wolf closes after each response anyway, and if a service closed a kept-alive stream just as
 * an `exec` or an upload is sent, it would be unknown whether the request was processed.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import type { Duplex } from "node:stream";
import { Client } from "undici";
import { errorCodeOf, toError, TurnaboutError } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import type { Call } from "./call.ts";
import { httpFailure } from "./undici-errors.ts";

export interface HttpRequest {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Path and query, sent unchanged. */
  path: string;
  headers?: Readonly<Record<string, string>>;
  /** Bytes are sent with a Content-Length; an iterable chunked, unless `headers` has a Content-Length. */
  body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Maximum milliseconds between two chunks of the response's body. Default 0: no limit. */
  silenceTimeoutMs?: number;
  /** Limit of the response's body. Default -1: no limit. */
  maxResponseBytes?: number;
}

/** A response whose header has arrived. Its connection is open until the body has ended or `close` is called. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Can be read once; ends at `close`. @throws TurnaboutError if it is cut short */
  readonly body: AsyncIterable<Buffer>;
  /** Closes the connection; unread data is lost. Idempotent. */
  close(): Promise<void>;
}

/** The service closed the connection without an error and without a single byte. */
export class EmptyResponseError extends TurnaboutError {
  constructor({ code, message }: TurnaboutError, cause: unknown) {
    super(code, message, { cause });
  }
}

/**
 * Takes ownership of the stream: it is closed with the response, or when this throws.
 *
 * @throws TurnaboutError `target_closed`, `target_protocol`, `response_timeout`, `aborted`, or why the tunnel was lost
 */
export async function exchange(stream: Duplex, request: HttpRequest, call: Call): Promise<HttpResponse> {
  const { signal, label } = call;
  let streamError: Error | undefined;
  stream.on("error", (error) => (streamError ??= error)); // never removed
  let ended = false;
  stream.once("end", () => (ended = true));
  const bytesBefore = bytesReadOf(stream);
  const guard = new Guard((error) => stream.destroy(error));
  const client = new Client("http://localhost", {
    // Not in the same turn: undici ignores a socket that it gets before it has begun to wait for one.
    // undici accepts any socket-like object; its types require a net.Socket.
    connect: (_options, callback) => queueMicrotask(guard.wrap(() => callback(null, stream as Socket))),
    pipelining: 1,
    headersTimeout: 0, // the call has a deadline
    bodyTimeout: request.silenceTimeoutMs ?? 0,
    maxResponseSize: request.maxResponseBytes ?? -1,
  });
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= client.destroy().finally(() => stream.destroy()));
  let sourceError: Error | undefined;
  const failed = (error: unknown): Error => {
    if (signal.aborted) return signal.reason as Error;
    return sourceError ?? httpFailure(error, label);
  };
  try {
    const { method, path, headers = {}, body = null } = request;
    const response = await client.request({
      method,
      path,
      headers,
      body:
        body === null || body instanceof Uint8Array
          ? body
          : Readable.from(pieces(body), { objectMode: false }),
      reset: true,
      signal,
    });
    response.body.on("error", () => {}); // never removed: a response may be closed unread
    return {
      status: response.statusCode,
      headers: response.headers,
      close,
      body: readBody(response.body),
    };
  } catch (error) {
    const failure = failed(error);
    const isEmpty = ended && bytesReadOf(stream) === bytesBefore;
    await close();
    throw isEmpty && failure instanceof TurnaboutError ? new EmptyResponseError(failure, error) : failure;
  }

  /** An error of the caller's own body is thrown unchanged. */
  async function* pieces(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* body;
    } catch (error) {
      sourceError = toError(error);
      throw error;
    }
  }

  async function* readBody(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* body;
      // For a response without a length, undici takes a reset for its end.
      if (streamError !== undefined && errorCodeOf(streamError) === "ECONNRESET") throw streamError;
    } catch (error) {
      if (closed === undefined) throw failed(error);
    } finally {
      await close();
    }
  }
}

/** Bytes received and read, without those that the forward proxy's response left in the buffer. */
function bytesReadOf(stream: Duplex): number {
  const bytes = "bytesRead" in stream && typeof stream.bytesRead === "number" ? stream.bytesRead : 0;
  return bytes - stream.readableLength;
}
