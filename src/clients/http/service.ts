/** HTTP to one service: bounded in number and in time, a connection of its own for each request. */
import type { Duplex } from "node:stream";
import { TurnaboutError } from "../../wire/errors.ts";
import { Call, unlessAborted } from "./call.ts";
import type { CallOptions } from "./call.ts";
import { exchange } from "./exchange.ts";
import type { HttpAnswer, HttpRequest } from "./exchange.ts";
import type { OpenStream } from "../dial/open-stream.ts";
import { Semaphore } from "./semaphore.ts";
import type { SlotLimits } from "./semaphore.ts";

export interface HttpServiceOptions {
  /** First word of error messages. */
  name: string;
  calls: SlotLimits;
  /** Answers that go on for long have a bound of their own, or they would leave nothing to the calls. */
  streams: SlotLimits;
  /** Of an answer that is read whole. */
  maxAnswerBytes: number;
}

export interface WholeAnswer {
  status: number;
  headers: HttpAnswer["headers"];
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

  /** @param timeoutMs until the last byte, where the caller says nothing else */
  async whole(request: HttpRequest, timeoutMs: number, options: CallOptions): Promise<WholeAnswer> {
    using call = this.#call(request, timeoutMs, options);
    const release = await this.#calls.acquire(call.label, call.signal);
    try {
      const answer = await this.#exchange({ maxAnswerBytes: this.#options.maxAnswerBytes, ...request }, call);
      const chunks: Buffer[] = [];
      for await (const chunk of answer.body) chunks.push(chunk);
      return { status: answer.status, headers: answer.headers, body: Buffer.concat(chunks) };
    } finally {
      release();
    }
  }

  /** @param timeoutMs until the answer's head, where the caller says nothing else; the signal counts until the end */
  async stream(request: HttpRequest, timeoutMs: number, options: CallOptions): Promise<HttpAnswer> {
    const call = this.#call(request, timeoutMs, options);
    const giveBack: (() => void)[] = [() => call[Symbol.dispose]()];
    const end = (): void => giveBack.forEach((give) => give());
    try {
      giveBack.push(await this.#streams.acquire(call.label, call.signal));
      const answer = await this.#exchange(request, call);
      call.stopClock();
      return { ...answer, body: followed(answer.body, end), close: () => answer.close().finally(end) };
    } catch (error) {
      end();
      throw error;
    }
  }

  /** A connection for what is not one request and one answer: a WebSocket. The caller closes it. */
  async connect(call: Call): Promise<Duplex> {
    call.phase = "dial";
    const opening = this.#open(call.signal);
    try {
      const stream = await unlessAborted(opening, call.signal);
      call.phase = "answer";
      return stream;
    } catch (error) {
      // Given up before it was open: whatever still comes is closed.
      opening.then(
        (stream) => stream.on("error", () => {}).destroy(),
        () => {},
      );
      throw call.signal.aborted ? call.signal.reason : error;
    }
  }

  async #exchange(request: HttpRequest, call: Call): Promise<HttpAnswer> {
    return exchange(await this.connect(call), request, call);
  }

  #call(request: HttpRequest, timeoutMs: number, options: CallOptions): Call {
    if (!/^[!-~]+$/.test(request.path)) {
      throw new TurnaboutError(
        "bad_request",
        `${this.#options.name}: a path may not hold spaces or other alphabets`,
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
