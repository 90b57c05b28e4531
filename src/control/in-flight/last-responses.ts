/**
 * Responses of a control plane that shuts down carry `Connection: close`, so that HTTP/1.1 callers open their next connection
 * elsewhere. Of several responses under way on one connection only the last does: what follows it would be lost.
 */
import { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { InFlight } from "./in-flight.ts";

export interface Exchanges {
  /** Exchanges under way on a connection, in order. */
  exchanges(socket: Duplex): readonly { response: ServerResponse }[];
}

export class LastResponses {
  readonly #order: Exchanges;
  readonly #marked = new WeakSet<ServerResponse>();
  #isStarted = false;

  constructor(order: Exchanges) {
    this.#order = order;
  }

  /** From now on. A response whose header has left stays as it is; the next one on its connection is the last. */
  start(inFlight: InFlight): void {
    this.#isStarted = true;
    for (const emitter of inFlight.all()) {
      if (emitter instanceof ServerResponse) this.follow(emitter);
    }
  }

  /** To be called for every response. */
  follow(response: ServerResponse): void {
    const { socket } = response.req;
    if (!this.#isStarted) return;
    const exchanges = this.#order.exchanges(socket);
    if (exchanges.at(-1)?.response !== response) return;
    for (const { response: earlier } of exchanges) {
      if (this.#marked.delete(earlier) && !earlier.headersSent) earlier.shouldKeepAlive = true;
    }
    if (response.headersSent || !response.shouldKeepAlive) return;
    response.shouldKeepAlive = false;
    this.#marked.add(response);
  }
}
