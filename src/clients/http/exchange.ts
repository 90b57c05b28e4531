/**
 * One HTTP request over one dialled stream, by undici.
 *
 * Nothing is reused: Wolf closes after each answer anyway, and a kept-alive stream that its service closes at the same
 * moment would leave an `exec` or an upload unanswered, with nobody to say whether it was done.
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
  /** Path and query, sent as they are. */
  path: string;
  headers?: Readonly<Record<string, string>>;
  /** Bytes go with a Content-Length. Pieces go chunked, unless `headers` has a Content-Length. */
  body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Longest pause between two pieces of the answer's body. 0, the default: none. */
  silenceTimeoutMs?: number;
  /** The answer's body; -1, the default, is without bound. */
  maxAnswerBytes?: number;
}

/** An answer whose head is there. Its connection is open until the body has ended or `close` was called. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** To be read once; ends at `close`. @throws TurnaboutError where the answer does not end as it should */
  readonly body: AsyncIterable<Buffer>;
  /** Idempotent. What has not been read yet is lost, and the service sees its connection go. */
  close(): Promise<void>;
}

/** The service closed the connection without an error and without a single byte. */
export class EmptyResponseError extends TurnaboutError {
  constructor({ code, message }: TurnaboutError, cause: unknown) {
    super(code, message, { cause });
  }
}

/**
 * Takes the stream over: it is closed when the answer is, or when this throws.
 *
 * @throws TurnaboutError `target_closed`, `target_protocol`, `response_timeout`, `aborted`, or why the tunnel was lost
 */
export async function exchange(stream: Duplex, request: HttpRequest, call: Call): Promise<HttpAnswer> {
  const { signal, label } = call;
  let streamError: Error | undefined;
  stream.on("error", (error) => (streamError ??= error)); // for ever
  let ended = false;
  stream.once("end", () => (ended = true));
  const bytesBefore = bytesReadOf(stream);
  const guard = new Guard((error) => stream.destroy(error));
  const client = new Client("http://localhost", {
    // Not in the same turn: undici ignores a socket that is there before it has begun to wait for one.
    // undici takes anything that behaves like a socket; its types ask for a net.Socket.
    connect: (_options, callback) => queueMicrotask(guard.wrap(() => callback(null, stream as Socket))),
    pipelining: 1,
    headersTimeout: 0, // the call has a deadline
    bodyTimeout: request.silenceTimeoutMs ?? 0,
    maxResponseSize: request.maxAnswerBytes ?? -1,
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
    const answer = await client.request({
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
    answer.body.on("error", () => {}); // for ever: an answer may be closed unread
    return {
      status: answer.statusCode,
      headers: answer.headers,
      close,
      body: readBody(answer.body),
    };
  } catch (error) {
    const failure = failed(error);
    const isEmpty = ended && bytesReadOf(stream) === bytesBefore;
    await close();
    throw isEmpty && failure instanceof TurnaboutError ? new EmptyResponseError(failure, error) : failure;
  }

  /** What goes wrong with the caller's own body is told in the caller's own words. */
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
      // For an answer without a length undici takes a reset for its end.
      if (streamError !== undefined && errorCodeOf(streamError) === "ECONNRESET") throw streamError;
    } catch (error) {
      if (closed === undefined) throw failed(error);
    } finally {
      await close();
    }
  }
}

/** Bytes that have arrived and were read; not what a forward proxy's answer left in the buffer. */
function bytesReadOf(stream: Duplex): number {
  const bytes = "bytesRead" in stream && typeof stream.bytesRead === "number" ? stream.bytesRead : 0;
  return bytes - stream.readableLength;
}
