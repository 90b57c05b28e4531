/** One HTTP/1.1 connection to a target, in a CONNECT stream: undici's own, behind {@link ResponseHeads}. */
import type { Socket } from "node:net";
import { Client } from "undici";
import type { Dispatcher } from "undici";
import type { TunnelSocket } from "../wire/tunnel-socket.ts";
import type { TargetDispatchOptions } from "./http2-target/target.ts";
import { ResponseHeads } from "./response-heads.ts";

/** What dispatches to a pool of {@link TargetClient}s. */
export interface TargetHandler extends Dispatcher.DispatchHandler {
  /** Set by the pool; to be called in `onRequestStart`: the next bytes of this connection are a response. */
  expectResponse?: (() => void) | undefined;
}

/** undici's writer ends every chunked body with these characters, in one write; it knows no trailers. */
const LAST_CHUNK = "\r\n0\r\n\r\n";

/** One connection to a target, whose header sections are made palatable to undici. */
export class TargetClient extends Client {
  readonly #connection: { heads: ResponseHeads; trailers: TargetDispatchOptions["trailers"] };

  constructor(origin: URL, options: Client.Options, open: () => TunnelSocket) {
    const connection: { heads: ResponseHeads; trailers: TargetDispatchOptions["trailers"] } = {
      heads: new ResponseHeads(),
      trailers: undefined,
    };
    super(origin, {
      ...options,
      connect: (_options, callback) => {
        // Not in the same turn: undici ignores a socket that is there before it has begun to wait for one.
        queueMicrotask(() => {
          try {
            const socket = open();
            const heads = new ResponseHeads();
            connection.heads = heads;
            socket.inbound = (bytes) => heads.feed(bytes);
            addTrailers(socket, () => connection.trailers?.() ?? {});
            // undici takes anything that behaves like a socket; its types ask for a net.Socket.
            callback(null, socket as unknown as Socket);
          } catch (error) {
            callback(error as Error, null);
          }
        });
      },
    });
    this.#connection = connection;
  }

  override dispatch(options: TargetDispatchOptions, handler: TargetHandler): boolean {
    handler.expectResponse = () => {
      this.#connection.heads.expect();
      this.#connection.trailers = options.trailers;
    };
    return super.dispatch(options, handler);
  }
}

/** RFC 9112 §7.1.2. Only a string is undici's own: the bytes of a body are a Buffer, whatever they are. */
function addTrailers(socket: TunnelSocket, trailers: () => Record<string, string | string[]>): void {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  const writeWithTrailers = (chunk: unknown, ...rest: unknown[]): boolean =>
    write(chunk === LAST_CHUNK ? lastChunk(trailers()) : chunk, ...rest);
  socket.write = writeWithTrailers as TunnelSocket["write"];
}

function lastChunk(trailers: Record<string, string | string[]>): string {
  const lines = Object.entries(trailers).flatMap(([name, value]) =>
    [value].flat().map((item) => `${name}: ${item}\r\n`),
  );
  return `\r\n0\r\n${lines.join("")}\r\n`;
}
