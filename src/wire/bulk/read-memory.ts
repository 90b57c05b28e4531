/**
 * Frees the memory of bytes that have been passed on. Each read of a connection takes 64 KiB outside the heap, which V8
 * frees at a garbage collection: bulk makes a gigabyte of them in a second, and spends more time on collections and on
 * memory that is not in the processor's caches than on the copying. What is freed at once is used for the next read.
 */
import net from "node:net";
import type { Duplex } from "node:stream";
import type { Http2Stream } from "node:http2";
import { TLSSocket } from "node:tls";
import { FREED_READ_BYTES } from "../limits.ts";

/** Called with a chunk that a stream has emitted, once nothing refers to its bytes any more. */
type Free = (chunk: Buffer) => void;

/** Key of the function on a stream. */
const FREE: unique symbol = Symbol("free");
/** Key of the number of chunks that lie in an ArrayBuffer and have not been passed on. */
const OPEN_CHUNKS: unique symbol = Symbol("openChunks");

interface Read extends ArrayBuffer {
  [OPEN_CHUNKS]?: number;
}

/**
 * What frees the chunks of a stream once they have been written to a socket. Undefined where they may be parts of memory that
 * others use, and where `to` is no socket: an HTTP/2 stream that ends calls back before its last bytes have left. Only for a
 * consumer that keeps no chunk, and is the only one.
 */
export function freeOf(from: Duplex, to: Duplex): Free | undefined {
  if (!isNative(to)) return undefined;
  const free = (from as { [FREE]?: Free })[FREE];
  return free ?? (isNative(from) ? freeWhole : undefined);
}

/** Node's classes for JavaScript streams as sockets extend these. */
function isNative(stream: Duplex): boolean {
  const prototype: unknown = Object.getPrototypeOf(stream);
  return prototype === net.Socket.prototype || prototype === TLSSocket.prototype;
}

/** Whether a chunk lies in so much memory that it is worth its while. */
export function isWorthFreeing({ buffer }: Buffer): boolean {
  return buffer.byteLength >= FREED_READ_BYTES;
}

/** A socket's chunk has a read for itself, unless it has been cut or is a part of what others use. */
function freeWhole({ buffer, byteLength }: Buffer): void {
  if (byteLength === buffer.byteLength) detach(buffer);
}

function detach(buffer: ArrayBufferLike): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

/**
 * The reads of an HTTP/2 connection. One brings chunks of several streams, which lie in one ArrayBuffer. It is freed when
 * all of them have been passed on by consumers that free, and a later read has come: until then node may still find chunks
 * in it. Where one consumer does not, all of it is left to the garbage collector.
 */
export class ReadMemory {
  #current: Read | undefined;

  /** Call it when a stream begins, and {@link count} for each of its chunks from then on. */
  watch(stream: Http2Stream): void {
    // What came with its header has not been counted.
    if (stream.readableLength === 0) Object.assign(stream, { [FREE]: this.#free });
  }

  /** A chunk has come, which is about to be emitted. */
  count(chunk: Buffer): void {
    if (!isWorthFreeing(chunk)) return;
    const read = chunk.buffer as Read;
    const before = this.#current;
    read[OPEN_CHUNKS] = (read[OPEN_CHUNKS] ?? 0) + 1;
    if (read === before) return;
    this.#current = read;
    if (before?.[OPEN_CHUNKS] === 0) detach(before);
  }

  /** An idle connection keeps no memory: its last read is left to the garbage collector. */
  forget(): void {
    const read = this.#current;
    this.#current = undefined;
    if (read !== undefined) read[OPEN_CHUNKS] = Infinity;
  }

  readonly #free = ({ buffer }: Buffer): void => {
    const read = buffer as Read;
    const open = (read[OPEN_CHUNKS] ?? Infinity) - 1;
    read[OPEN_CHUNKS] = open;
    if (open === 0 && read !== this.#current) detach(read);
  };
}
