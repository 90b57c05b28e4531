/**
 * As much of a Wayland client as a virtual pointer needs.
 *
 * A message is the number of an object, then length and opcode in one word, then the arguments, all in words of the
 * machine's byte order. Neither our requests nor the events of the objects that we bind carry file descriptors, so a
 * plain socket will do.
 */
import { createConnection } from "node:net";
import type { Socket } from "node:net";
import { MAX_WAYLAND_MESSAGE_BYTES, WAYLAND_TIMEOUT_MS } from "../limits.ts";

const DISPLAY_ID = 1;
const DISPLAY_SYNC = 0;
const DISPLAY_GET_REGISTRY = 1;
const DISPLAY_ERROR = 0;
const DISPLAY_DELETE_ID = 1;
const REGISTRY_BIND = 0;
const REGISTRY_GLOBAL = 0;

/** An argument that is no plain integer. */
export type Argument = number | { fixed: number } | { string: string };

export interface Global {
  name: number;
  interface: string;
  version: number;
}

export type EventListener = (opcode: number, body: Buffer) => void;

export class WaylandConnection {
  readonly globals: Global[] = [];
  /** Resolves with the reason when either end has closed the connection. */
  readonly ended: Promise<Error>;
  readonly #socket: Socket;
  readonly #listeners = new Map<number, EventListener>();
  readonly #end: (reason: Error) => void;
  /** What waits for the compositor, to be rejected when the connection ends. */
  readonly #waiting = new Set<(reason: Error) => void>();
  /** Numbers of objects that are gone, to be used again. */
  readonly #freeIds: number[] = [];
  #registry = 0;
  #lastId = DISPLAY_ID;
  #rest: Buffer = Buffer.alloc(0);
  #isOpen = true;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.ended = promise;
    this.#end = (reason) => {
      this.#isOpen = false;
      for (const reject of this.#waiting) reject(reason);
      resolve(reason);
      socket.destroy();
    };
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end(new Error("the compositor closed the connection")));
    this.#listeners.set(DISPLAY_ID, (opcode, body) => {
      if (opcode === DISPLAY_ERROR)
        this.#end(new Error(`the compositor reported an error: ${readString(body, 8)}`));
      else if (opcode === DISPLAY_DELETE_ID) this.#freeIds.push(readWord(body, 0));
    });
  }

  /** Connected, with the globals known. @throws Error */
  static async open(path: string): Promise<WaylandConnection> {
    const connection = new WaylandConnection(createConnection(path));
    const registry = connection.create((opcode, body) => {
      if (opcode !== REGISTRY_GLOBAL) return;
      const name = readString(body, 4);
      const at = 8 + padded(name.length + 1);
      connection.globals.push({ name: readWord(body, 0), interface: name, version: readWord(body, at) });
    });
    connection.send(DISPLAY_ID, DISPLAY_GET_REGISTRY, [registry]);
    connection.#registry = registry;
    await connection.roundTrip();
    return connection;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** A number for a new object. */
  create(listener: EventListener = () => {}): number {
    const id = this.#freeIds.pop() ?? (this.#lastId += 1);
    this.#listeners.set(id, listener);
    return id;
  }

  /** The first global of that interface, bound; undefined if the compositor has none. */
  bind(interfaceName: string, maxVersion: number, listener?: EventListener): number | undefined {
    const global = this.globals.find((candidate) => candidate.interface === interfaceName);
    return global === undefined ? undefined : this.bindGlobal(global, maxVersion, listener);
  }

  bindGlobal(global: Global, maxVersion: number, listener?: EventListener): number {
    const id = this.create(listener);
    const version = Math.min(maxVersion, global.version);
    this.send(this.#registry, REGISTRY_BIND, [global.name, { string: global.interface }, version, id]);
    return id;
  }

  send(object: number, opcode: number, args: readonly Argument[]): void {
    if (!this.#isOpen) return;
    const body = Buffer.concat(args.map(encode));
    const head = Buffer.concat([word(object), word((((8 + body.length) << 16) | opcode) >>> 0)]);
    this.#socket.write(Buffer.concat([head, body]));
  }

  /** Everything sent so far has been handled. @throws Error if the connection ends or nothing comes back in time */
  async roundTrip(): Promise<void> {
    if (!this.#isOpen) throw await this.ended;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const callback = this.create(() => {
      this.#listeners.delete(callback);
      resolve();
    });
    this.#waiting.add(reject);
    this.send(DISPLAY_ID, DISPLAY_SYNC, [callback]);
    const timer = setTimeout(
      () => this.#end(new Error("the compositor does not respond")),
      WAYLAND_TIMEOUT_MS,
    );
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(reject);
    }
  }

  close(): void {
    this.#end(new Error("closed"));
  }

  #read(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 8) {
      const second = readWord(this.#rest, 4);
      const length = second >>> 16;
      if (length < 8 || length > MAX_WAYLAND_MESSAGE_BYTES)
        return this.#end(new Error("invalid Wayland message"));
      if (this.#rest.length < length) return;
      const listener = this.#listeners.get(readWord(this.#rest, 0));
      const body = this.#rest.subarray(8, length);
      this.#rest = this.#rest.subarray(length);
      try {
        listener?.(second & 0xffff, body);
      } catch (error) {
        return this.#end(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }
}

const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  if (isLittleEndian) bytes.writeUInt32LE(value >>> 0);
  else bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** An unsigned word. @throws RangeError beyond the end */
export function readWord(body: Buffer, at: number): number {
  return isLittleEndian ? body.readUInt32LE(at) : body.readUInt32BE(at);
}

/** A signed word. @throws RangeError beyond the end */
export function readInt(body: Buffer, at: number): number {
  return readWord(body, at) | 0;
}

/** Length with the NUL at its end, bytes, padding. */
export function readString(body: Buffer, at: number): string {
  const length = readWord(body, at);
  return body.toString("utf8", at + 4, at + 4 + Math.max(0, length - 1));
}

export function padded(length: number): number {
  return (length + 3) & ~3;
}

function encode(argument: Argument): Buffer {
  if (typeof argument === "number") return word(argument);
  // 24.8 fixed point.
  if ("fixed" in argument) return word(Math.round(argument.fixed * 256));
  const bytes = Buffer.from(argument.string, "utf8");
  const field = Buffer.alloc(padded(bytes.length + 1));
  bytes.copy(field);
  return Buffer.concat([word(bytes.length + 1), field]);
}
