/**
 * A stream to a RevDial client's target: open at once, and carried by a data connection when the client has picked it up.
 *
 * The data connection has no half-close: its end ends both halves. It may end without a Close frame, because old clients just
 * close the TCP connection: that is a clean end if the client is alive behind it. An end within a message is none.
 */
import { Socket } from "node:net";
import type { WebSocket } from "ws";
import { TurnaboutError } from "../../wire/errors.ts";
import { readAfterReset } from "../../wire/session/read-after-reset.ts";
import { SocketLike } from "../../wire/streams/socket-like.ts";
import { StreamError } from "../../wire/streams/stream-error.ts";
import { TokenBucket } from "../../wire/token-bucket.ts";
import { DIAL_TIMEOUT_MS } from "../limits.ts";
import type { TargetSocket } from "../tunnels/tunnel.ts";
import { closeWebSocket } from "./close-websocket.ts";
import { DataMessages } from "./data-messages.ts";
import { HALF_CLOSED_IDLE_MS, PINGS_BURST, PINGS_PER_S } from "./limits.ts";
import { MessageFollower } from "./message-follower.ts";
import type { PickedUp } from "./pickups.ts";

type Done = (error?: Error | null) => void;

export interface DialSocketParts {
  /** `<runner> <target>`, for error messages. */
  label: string;
  /** The client is lost: an end of the data connection is none of the target. */
  isClientLost: () => boolean;
  /** Calls back as soon as the client has shown that it is alive, or is known to be lost. */
  confirmEnd: (done: () => void) => void;
  /** Bytes that have passed, in either direction. */
  onBytes: (bytes: number) => void;
  /** The client has not kept to the protocol, and its data connection is being closed. */
  onFault: (reason: string) => void;
}

/** Registered codes of a Close frame (RFC 6455 §7.4.1). */
const NORMAL = 1000;
const UNSUPPORTED_DATA = 1003;
const POLICY_VIOLATION = 1008;
/** What ws reports in the place of a code. */
const NO_CLOSE_FRAME = 1006;

export class DialSocket extends SocketLike implements TargetSocket {
  readonly #parts: DialSocketParts;
  readonly #pickedUp = Promise.withResolvers<this>();
  readonly #pickupTimer: NodeJS.Timeout;
  readonly #received = new MessageFollower();
  readonly #pings = new TokenBucket({ burst: PINGS_BURST, perS: PINGS_PER_S });
  /** Its client has connected; whether it has reached the target is not known. */
  acceptedAt: number | undefined;
  #webSocket: WebSocket | undefined;
  #messages: DataMessages | undefined;
  /** Written before the pick-up. */
  #waiting: { bytes: Buffer; done: Done } | undefined;
  /** The data connection has closed, and the target with it. */
  #hasEnded = false;
  #failure: Error | undefined;
  #hasLastBytes = false;
  /** It has been sent a Close frame for what it has done, and has some time to respond. */
  #isRefused = false;
  #idleTimer: NodeJS.Timeout | undefined;
  #timeoutMs = 0;
  #timeout: NodeJS.Timeout | undefined;
  bytesRead = 0;
  bytesWritten = 0;
  onAccepted: (() => void) | undefined;
  onFirstBytes: ((bytes: Buffer) => void) | undefined;
  inbound: ((bytes: Buffer) => Buffer) | undefined;

  constructor(parts: DialSocketParts) {
    super({ allowHalfOpen: true, autoDestroy: true, decodeStrings: true });
    this.#parts = parts;
    this.#pickedUp.promise.catch(() => {}); // also where no one waits for it
    this.on("error", () => {}); // permanent: it may be lost before it is used
    this.#pickupTimer = setTimeout(() => {
      const message = `dial ${parts.label}: not picked up within ${DIAL_TIMEOUT_MS} ms`;
      this.destroy(new TurnaboutError("tunnel_timeout", message));
    }, DIAL_TIMEOUT_MS);
    // Nothing can be sent to a target that has ended.
    this.once("end", () => setImmediate(() => this.destroy()));
  }

  get label(): string {
    return this.#parts.label;
  }

  /** Resolves when the client has connected. */
  get pickedUp(): Promise<this> {
    return this.#pickedUp.promise;
  }

  get isPickedUp(): boolean {
    return this.#webSocket !== undefined;
  }

  get heldBytes(): number {
    return this.readableLength + this.writableLength + (this.#webSocket?.bufferedAmount ?? 0);
  }

  /** The client has connected. */
  attach({ webSocket, socket, readsInPieces }: PickedUp): void {
    webSocket.on("error", (error) => this.#fail(error)); // permanent
    if (this.destroyed || this.isPickedUp) return webSocket.terminate();
    clearTimeout(this.#pickupTimer);
    this.acceptedAt = performance.now();
    this.#webSocket = webSocket;
    this.#messages = new DataMessages(webSocket, readsInPieces);
    if (socket instanceof Socket) readAfterReset(socket);
    // ws reports a reset like an end.
    socket.once("error", (error: Error) => this.#fail(error));
    socket.on("data", (chunk: Buffer) => this.#received.feed(chunk)); // besides ws, which has begun to read it just now
    webSocket.on("message", (data: Buffer, isBinary: boolean) => {
      if (isBinary) this.#receive(data);
      else this.#refuse(UNSUPPORTED_DATA, "a text message");
    });
    webSocket.on("ping", () => {
      if (!this.#pings.take()) this.#refuse(POLICY_VIOLATION, "more PINGs than it may send");
    });
    webSocket.once("close", (code: number) => {
      if (code !== NO_CLOSE_FRAME) return this.#end();
      this.emit("closing"); // whether it is a clean end takes a round trip, in which nothing more may be sent
      this.#parts.confirmEnd(() => this.#end());
    });
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) this.#messages.send(waiting.bytes, waiting.done);
    this.onAccepted?.();
    this.#pickedUp.resolve(this);
  }

  /** We end the client. Who speaks for the caller may send its last bytes on 'ending': the client itself has none to send. */
  endHere(reason: TurnaboutError): void {
    this.#hasLastBytes = this.isPickedUp && this.emit("ending");
    this.destroy(reason);
  }

  /** The client is gone before it has picked the dial up: the target has seen nothing of it. */
  abandon(code: "tunnel_lost" | "agent_draining", reason: string): void {
    if (this.isPickedUp) return;
    const loss = { reused: false, unprocessed: true };
    this.destroy(new StreamError(code, `dial ${this.#parts.label}: ${reason}`, loss));
  }

  #receive(data: Buffer): void {
    if (this.destroyed) return;
    if (this.bytesRead === 0) this.onFirstBytes?.(data);
    this.bytesRead += data.length;
    this.#parts.onBytes(data.length);
    this.#active();
    const bytes = this.inbound === undefined ? data : this.inbound(data);
    if (bytes.length > 0 && !this.push(bytes)) this.#webSocket?.pause();
  }

  #end(): void {
    if (this.destroyed || this.#hasEnded || this.#failure !== undefined) return;
    if (this.#parts.isClientLost()) return this.#fail(new Error("the client is lost"));
    if (this.#received.isWithin) return this.#fail(new Error("it ended within a message"));
    this.#hasEnded = true;
    this.push(null);
  }

  /** The client does not keep to the protocol: its caller gets an error, and no end. */
  #refuse(code: number, what: string): void {
    const webSocket = this.#webSocket;
    if (webSocket === undefined || webSocket.readyState !== webSocket.OPEN) return;
    const error = new TurnaboutError("tunnel_protocol", `dial ${this.#parts.label}: ${what}`);
    this.#isRefused = true;
    closeWebSocket(webSocket, code, what);
    this.#parts.onFault(error.message);
    this.#fail(error);
  }

  /** Bytes received before are read first, as on a TCP socket: they may be a complete early response. */
  #fail(cause: Error): void {
    if (this.destroyed || this.#hasEnded || this.#failure !== undefined) return;
    const failure = this.#lost(cause);
    if (this.readableLength === 0) this.destroy(failure);
    else this.#failure = failure;
  }

  #lost(cause?: Error): Error {
    const loss = { reused: this.bytesRead > 0, unprocessed: false };
    if (cause instanceof TurnaboutError) return StreamError.from(cause, loss);
    const [code, what] = this.#parts.isClientLost()
      ? (["tunnel_lost", "the connection to the agent was lost"] as const)
      : (["target_closed", "its data connection was lost"] as const);
    return new StreamError(code, `dial ${this.#parts.label}: ${what}`, loss, { cause });
  }

  override read(size?: number): Buffer | null {
    const chunk = super.read(size) as Buffer | null;
    const failure = this.#failure;
    if (failure !== undefined && this.readableLength === 0) setImmediate(() => this.destroy(failure));
    return chunk;
  }

  override _read(): void {
    this.#webSocket?.resume();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: Done): void {
    if (bytes.length === 0) return done();
    if (this.#failure !== undefined) return done(this.#failure);
    this.#active();
    const onSent: Done = (error) => this.#sent(bytes.length, error, done);
    if (this.#messages === undefined) this.#waiting = { bytes, done: onSent };
    else this.#messages.send(bytes, onSent);
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "buffer" as BufferEncoding, done);
  }

  #sent(bytes: number, error: Error | null | undefined, done: Done): void {
    if (error === undefined || error === null) {
      this.bytesWritten += bytes;
      this.#parts.onBytes(bytes);
      return done();
    }
    // The target has ended: what it has sent is read before the failure counts.
    const lost = this.#lost(error);
    setImmediate(() => {
      if (this.#hasEnded && !this.readableEnded) this.once("end", () => done(lost));
      else done(lost);
    });
  }

  /** RevDial cannot end one half: the target learns of it when the whole connection ends. */
  override _final(done: Done): void {
    this.#idleTimer = setTimeout(() => {
      if (this.#webSocket !== undefined) closeWebSocket(this.#webSocket, NORMAL);
    }, HALF_CLOSED_IDLE_MS);
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    clearTimeout(this.#pickupTimer);
    clearTimeout(this.#idleTimer);
    clearTimeout(this.#timeout);
    const lost = error ?? new TurnaboutError("aborted", `dial ${this.#parts.label}: aborted by the caller`);
    this.#pickedUp.reject(lost);
    const webSocket = this.#webSocket;
    const isClosed = error === null || this.#hasLastBytes; // and not cut: what was sent arrives
    const isOpen = webSocket?.readyState === webSocket?.OPEN;
    if (webSocket !== undefined && isClosed && isOpen) closeWebSocket(webSocket, NORMAL);
    else if (!this.#isRefused) webSocket?.terminate();
    done(error);
  }

  #active(): void {
    this.#idleTimer?.refresh();
    this.#timeout?.refresh();
  }

  setTimeout(timeoutMs: number, callback?: () => void): this {
    if (callback !== undefined) this.once("timeout", callback);
    clearTimeout(this.#timeout);
    this.#timeoutMs = timeoutMs;
    this.#timeout = timeoutMs > 0 ? setTimeout(() => this.emit("timeout"), this.#timeoutMs) : undefined;
    return this;
  }
}
