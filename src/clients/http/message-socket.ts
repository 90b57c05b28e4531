/**
 * A WebSocket over a dialled stream, read by `for await`.
 *
 * Messages are kept from the first one, which may arrive together with the handshake's response; a slow reader applies
 * back-pressure to the peer. Nothing is sent by itself except the pongs of RFC 6455 §5.5.2, which can be switched off.
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import type { RawData } from "ws";
import { codeFromErrno } from "../../wire/failure-codes.ts";
import { errorCodeOf, toError, TurnaboutError } from "../../wire/errors.ts";
import type { Call } from "./call.ts";
import { beginning } from "./service-error.ts";

export interface MessageSocketOptions {
  /** Path and query. */
  path: string;
  headers?: Readonly<Record<string, string>>;
  /** Sub-protocols to offer. */
  protocols?: readonly string[];
  /** Respond to pings. Default true. */
  autoPong?: boolean;
  /** Limit of one message. */
  maxMessageBytes: number;
  /** Creates the error for a handshake response with a status other than 101. */
  refused: (status: number, body: Buffer) => Error;
}

export type Message = { kind: "text"; text: string } | { kind: "binary"; bytes: Buffer };

export interface Closing {
  /** RFC 6455 §7.4.1: 1005 for a close frame without a code, 1006 if there was no close frame. */
  code: number;
  reason: string;
}

/** Unread messages above which reading pauses, so that the peer has to wait. */
const MAX_UNREAD_BYTES: number = 4 * 1024 * 1024;
const MAX_UNREAD_MESSAGES = 1_000;

/** From our close frame to the peer's; then the stream is closed anyway (ws's limit is 30 s). */
const CLOSE_TIMEOUT_MS = 5_000;

/** Pieces of a message that wait for the rest: 16 MiB in pieces of 1 KiB. ws does more work for each as they add up. */
const MAX_BUFFERED_CHUNKS = 16_384;

const NO_CLOSE_FRAME = 1006;

/** Takes ownership of the stream. @throws TurnaboutError, or the error that `refused` creates */
export async function openMessageSocket(
  stream: Duplex,
  options: MessageSocketOptions,
  call: Call,
): Promise<MessageSocket> {
  const socket = connect(stream, options);
  // Before the handshake ends, so that a message in the same packet is not lost.
  const messages = new MessageSocket(socket, stream, call.label);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => reject(call.signal.reason as Error);
  const onError = (error: Error): void => reject(socketFailure(error, call.label));
  socket.once("open", resolve);
  socket.once("error", onError);
  socket.once("unexpected-response", (_request, response) => {
    beginning(response)
      .then((body) => reject(options.refused(response.statusCode ?? 0, body)))
      .catch(onError);
  });
  call.signal.addEventListener("abort", onAbort, { once: true });
  if (call.signal.aborted) onAbort();
  try {
    await promise;
    return messages;
  } catch (error) {
    messages.terminate();
    stream.destroy();
    throw error;
  } finally {
    call.signal.removeEventListener("abort", onAbort);
  }
}

/** @throws Error if ws refuses the path, a field or a sub-protocol; the stream is closed as well */
function connect(stream: Duplex, options: MessageSocketOptions): WebSocket {
  const { path, headers, protocols = [], autoPong = true, maxMessageBytes } = options;
  try {
    return new WebSocket(`ws://localhost${path}`, [...protocols], {
      // ws accepts any socket-like object; its types require a net.Socket.
      createConnection: () => stream as Socket,
      perMessageDeflate: false,
      maxPayload: maxMessageBytes,
      maxBufferedChunks: MAX_BUFFERED_CHUNKS,
      autoPong,
      ...(headers !== undefined && { headers }),
    });
  } catch (error) {
    stream.on("error", () => {}).destroy();
    throw error;
  }
}

export class MessageSocket implements AsyncIterable<Message>, AsyncDisposable {
  /** How it ended; never rejects. */
  readonly closed: Promise<Closing>;
  readonly #socket: WebSocket;
  readonly #label: string;
  readonly #unread: Message[] = [];
  #unreadBytes = 0;
  /** The peer broke RFC 6455. */
  #protocolError: Error | undefined;
  /** Why the stream was lost: ws does not report it, only 1006. */
  #streamError: Error | undefined;
  #closing: Closing | undefined;
  #dropping = false;
  #wake: () => void = () => {};

  /** Use {@link openMessageSocket}. */
  constructor(socket: WebSocket, stream: Duplex, label: string) {
    this.#socket = socket;
    this.#label = label;
    stream.on("error", (error) => (this.#streamError ??= socketFailure(error, label))); // never removed
    socket.on("message", (data, isBinary) => this.#keep(toMessage(data, isBinary)));
    socket.on("error", (error) => (this.#protocolError ??= socketFailure(error, label)));
    const { promise, resolve } = Promise.withResolvers<Closing>();
    this.closed = promise;
    socket.once("close", (code, reason) => {
      this.#closing = { code, reason: reason.toString("utf8") };
      resolve(this.#closing);
      this.#wake();
    });
  }

  /** The sub-protocol that the peer chose; empty if none. */
  get protocol(): string {
    return this.#socket.protocol;
  }

  /** Resolves when the message has been written to the stream. @throws TurnaboutError `target_closed` */
  send(message: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(message, (error) => {
        if (error) reject(this.#streamError ?? socketFailure(error, this.#label));
        else resolve();
      });
    });
  }

  /** Closes with the closing handshake, or after five seconds without it. Unread messages are dropped. */
  async close(code?: number, reason?: string): Promise<void> {
    const timer = setTimeout(() => this.#socket.terminate(), CLOSE_TIMEOUT_MS);
    this.#dropping = true;
    this.#unread.length = 0;
    this.#socket.close(code, reason);
    this.#socket.resume(); // the peer's close frame may be behind unread messages
    await this.closed;
    clearTimeout(timer);
  }

  /** Closes without a close frame, at once. */
  terminate(): void {
    this.#socket.terminate();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * For one reader at a time. Ends at a close frame.
   *
   * @throws TurnaboutError `target_closed` or why the tunnel was lost, if there was no close frame
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    for (;;) {
      const message = this.#unread.shift();
      if (message !== undefined) {
        this.#unreadBytes -= bytesOf(message);
        if (this.#socket.isPaused && !this.#isFull()) this.#socket.resume();
        yield message;
      } else if (this.#closing === undefined) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      } else {
        const error = this.#failure(this.#closing);
        if (error !== undefined) throw error;
        return;
      }
    }
  }

  #failure({ code }: Closing): Error | undefined {
    if (this.#dropping) return undefined;
    if (this.#protocolError !== undefined || code !== NO_CLOSE_FRAME) return this.#protocolError;
    return (
      this.#streamError ?? new TurnaboutError("target_closed", `${this.#label}: ended without a close frame`)
    );
  }

  #keep(message: Message): void {
    if (this.#dropping) return;
    this.#unread.push(message);
    this.#unreadBytes += bytesOf(message);
    if (this.#isFull()) this.#socket.pause();
    this.#wake();
  }

  #isFull(): boolean {
    return this.#unreadBytes >= MAX_UNREAD_BYTES || this.#unread.length >= MAX_UNREAD_MESSAGES;
  }
}

function toMessage(data: RawData, isBinary: boolean): Message {
  const bytes = data as Buffer; // with ws's default `binaryType` it is one Buffer
  return isBinary ? { kind: "binary", bytes } : { kind: "text", text: bytes.toString("utf8") };
}

function bytesOf(message: Message): number {
  return message.kind === "text" ? Buffer.byteLength(message.text) : message.bytes.length;
}

function socketFailure(error: unknown, label: string): TurnaboutError {
  if (error instanceof TurnaboutError) return error;
  const code = errorCodeOf(error) ?? "";
  const isProtocol = code.startsWith("WS_ERR_") || code.startsWith("HPE_");
  return new TurnaboutError(
    isProtocol ? "target_protocol" : codeFromErrno(code),
    `${label}: ${toError(error).message}`,
    { cause: error },
  );
}
