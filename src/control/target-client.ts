/** One HTTP/1.1 connection to a target, in a CONNECT stream: undici's own, behind {@link ResponseHeads}. */
import type { Socket } from "node:net";
import { Client } from "undici";
import type { Dispatcher } from "undici";
import type { TunnelSocket } from "../wire/tunnel-socket.ts";
import { ResponseHeads } from "./response-heads.ts";

/** What dispatches to a pool of {@link TargetClient}s. */
export interface TargetHandler extends Dispatcher.DispatchHandler {
  /** Set by the pool; to be called in `onRequestStart`: the next bytes of this connection are a response. */
  expectResponse?: (() => void) | undefined;
}

/** One connection to a target, whose header sections are made palatable to undici. */
export class TargetClient extends Client {
  readonly #connection: { heads: ResponseHeads };

  constructor(origin: URL, options: Client.Options, open: () => TunnelSocket) {
    const connection = { heads: new ResponseHeads() };
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

  override dispatch(options: Dispatcher.DispatchOptions, handler: TargetHandler): boolean {
    handler.expectResponse = () => this.#connection.heads.expect();
    return super.dispatch(options, handler);
  }
}
