/** HTTP to one service, with limits on calls and time. Each request has its own connection. */
import type { Duplex } from "node:stream";
import { TurnaboutError } from "../../wire/errors.ts";
import { GrowingBuffer } from "../../wire/streams/growing-buffer.ts";
import { Call, unlessAborted } from "./call.ts";
import type { CallOptions } from "./call.ts";
import { exchange } from "./exchange.ts";
import type { HttpResponse, HttpRequest } from "./exchange.ts";
import type { OpenStream } from "../dial/open-stream.ts";
import { Semaphore } from "./semaphore.ts";
import type { SemaphoreLimits } from "./semaphore.ts";

export interface HttpServiceOptions {
  /** First word of error messages. */
  name: string;
  calls: SemaphoreLimits;
  /** Long-lived responses have their own limit, so that they do not use up that of the calls. */
  streams: SemaphoreLimits;
  /** Limit of a response that is read whole. */
  maxResponseBytes: number;
}

export interface WholeResponse {
  status: number;
  headers: HttpResponse["headers"];
  body: Buffer;
}

export class HttpService {
  readonly #open: OpenStream;
  readonly #options: HttpServiceOptions;
  readonly #calls: Semaphore;
  readonly #streams: Semaphore;

  constructor(open: OpenStream, options: HttpServiceOptions) {
    this.#open = open;
    this.#options = options;
    this.#calls = new Semaphore(options.calls);
    this.#streams = new Semaphore(options.streams);
  }

  /** @param timeoutMs until the last byte, unless `options` has its own */
  async whole(request: HttpRequest, timeoutMs: number, options: CallOptions): Promise<WholeResponse> {
    using call = this.#call(request, timeoutMs, options);
    const release = await this.#calls.acquire(call.label, call.signal);
    try {
      const response = await this.#exchange(
        { maxResponseBytes: this.#options.maxResponseBytes, ...request },
        call,
      );
      const body = new GrowingBuffer();
      for await (const chunk of response.body) body.append(chunk);
      return { status: response.status, headers: response.headers, body: body.take() };
    } finally {
      release();
    }
  }

  /** @param timeoutMs until the response's header, unless `options` has its own; the signal applies until the end */
  async stream(request: HttpRequest, timeoutMs: number, options: CallOptions): Promise<HttpResponse> {
    const call = this.#call(request, timeoutMs, options);
    const giveBack: (() => void)[] = [() => call[Symbol.dispose]()];
    const end = (): void => giveBack.forEach((give) => give());
    try {
      giveBack.push(await this.#streams.acquire(call.label, call.signal));
      const response = await this.#exchange(request, call);
      call.stopClock();
      return { ...response, body: followed(response.body, end), close: () => response.close().finally(end) };
    } catch (error) {
      end();
      throw error;
    }
  }

  /** A connection for other uses than one request and its response: a WebSocket. The caller closes it. */
  async connect(call: Call): Promise<Duplex> {
    call.phase = "dial";
    const opening = this.#open(call.signal);
    try {
      const stream = await unlessAborted(opening, call.signal);
      call.phase = "response";
      return stream;
    } catch (error) {
      // Aborted before it was open: a connection that still opens is closed.
      opening.then(
        (stream) => stream.on("error", () => {}).destroy(),
        () => {},
      );
      throw call.signal.aborted ? call.signal.reason : error;
    }
  }

  async #exchange(request: HttpRequest, call: Call): Promise<HttpResponse> {
    return exchange(await this.connect(call), request, call);
  }

  #call(request: HttpRequest, timeoutMs: number, options: CallOptions): Call {
    if (!/^[!-~]+$/.test(request.path)) {
      throw new TurnaboutError(
        "bad_request",
        `${this.#options.name}: a path must be printable ASCII without spaces`,
      );
    }
    const label = `${this.#options.name} ${request.method} ${request.path}`;
    return new Call(label, options.timeoutMs ?? timeoutMs, options.signal);
  }
}

async function* followed(
  body: AsyncIterable<Buffer>,
  then: () => void,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* body;
  } finally {
    then();
  }
}
