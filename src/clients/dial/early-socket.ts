/**
 * A tunnel that may be written to before it is open: what is written leaves behind the `CONNECT`. It is read from the response on.
 */
import { Duplex } from "node:stream";
import type { Socket } from "node:net";
import { TurnaboutError } from "../../wire/errors.ts";

type Done = (error?: Error | null) => void;

export class EarlySocket extends Duplex {
  readonly #below: Socket;
  /** Resolves when the request has been written: nothing may overtake it. */
  readonly #requested: Promise<void>;
  #isRequested = false;
  #isOpen = false;
  #hasEnded = false;

  // Read by code that expects a net.Socket.
  readonly connecting = false;

  /**
   * @param below the connection to the control plane. Its end is the tunnel's
   * @param requested resolves when the request has been written
   */
  constructor(below: Socket, requested: Promise<void>) {
    super({ allowHalfOpen: true, autoDestroy: true, decodeStrings: true });
    this.#below = below;
    this.#requested = requested.then(() => {
      this.#isRequested = true;
    });
    this.#requested.catch(() => {}); // the request's own 'error' says why
    this.on("error", () => {}); // permanent: it may be refused before its owner listens
    below.on("error", () => {}); // permanent: 'close' follows
    below.on("close", () => {
      if (below.errored !== null) this.destroy(below.errored);
      else if (!this.#hasEnded)
        this.destroy(new TurnaboutError("carrier_failed", "the connection was closed"));
    });
  }

  /** The target has accepted. @param head bytes behind the response */
  open(head: Buffer): void {
    if (this.destroyed) return;
    const below = this.#below;
    this.#isOpen = true;
    if (head.length > 0) below.unshift(head);
    below.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) below.pause();
    });
    below.on("end", () => {
      this.#hasEnded = true;
      this.push(null);
    });
  }

  override _read(): void {
    if (this.#isOpen) this.#below.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    if (this.#isRequested) this.#below.write(chunk, done);
    else this.#requested.then(() => this.#below.write(chunk, done), done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "buffer" as BufferEncoding, done);
  }

  override _final(done: Done): void {
    this.#requested.then(() => this.#below.end(() => done()), done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#below.destroy(error ?? undefined);
    done(error);
  }

  // undici, http.Agent and dockerode call these on a socket.
  setTimeout(timeoutMs: number, callback?: () => void): this {
    if (callback !== undefined) this.once("timeout", callback);
    this.#below.setTimeout(timeoutMs);
    if (this.#below.listenerCount("timeout") === 0) this.#below.on("timeout", () => this.emit("timeout"));
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    this.#below.ref();
    return this;
  }
  unref(): this {
    this.#below.unref();
    return this;
  }
}
