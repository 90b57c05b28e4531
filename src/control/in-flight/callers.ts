/**
 * The callers of a port, and how they are sent away without losing a request: HTTP/1.1 by `Connection: close` in a response,
 * or by closing a connection that has been idle for a while; HTTP/2 by GOAWAY. Everything is served meanwhile.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2Session } from "node:http2";
import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { endHttp2Session } from "../../wire/streams/end-stream.ts";
import { CALLER_MIN_IDLE_MS, FLUSH_POLL_MS, IDLE_POLL_MS } from "../limits.ts";
import { IdleConnections } from "./idle-connections.ts";
import type { InFlight } from "./in-flight.ts";
import { LastResponses } from "./last-responses.ts";
import type { Exchanges } from "./last-responses.ts";

export interface DrainedOptions {
  /** Only callers that were there before this moment of `performance.now()`. */
  beforeMs: number;
  timeoutMs: number;
}

export class Callers {
  readonly #inFlight: InFlight;
  readonly #order: Exchanges;
  readonly #last: LastResponses;
  readonly #idle = new IdleConnections();
  readonly #http2Sessions = new Set<Http2Session>();
  #closesIdle: NodeJS.Timeout | undefined;

  constructor(inFlight: InFlight, order: Exchanges) {
    this.#inFlight = inFlight;
    this.#order = order;
    this.#last = new LastResponses(order);
  }

  /** A connection that may bring a request. */
  connected(socket: Socket): void {
    this.#idle.add(socket);
  }

  /** The connection serves another protocol from now on. */
  tookOver(socket: Socket): void {
    this.#idle.take(socket);
  }

  /** An HTTP/1.1 exchange begins; the order of responses knows it already. */
  exchange({ socket }: IncomingMessage, response: ServerResponse): void {
    this.#inFlight.add(response);
    this.#idle.remove(socket);
    this.#last.follow(response);
    response.once("close", () => {
      if (this.#order.exchanges(socket).length === 0) this.#idle.add(socket);
    });
  }

  http2Session(http2Session: Http2Session): void {
    this.#http2Sessions.add(http2Session);
    http2Session.once("close", () => this.#http2Sessions.delete(http2Session));
    // Its first requests come together, so it gets a moment before GOAWAY.
    if (this.#isDraining) setTimeout(() => http2Session.close(), CALLER_MIN_IDLE_MS).unref();
  }

  /** Callers are asked to open their next connection elsewhere. */
  drain(): void {
    this.#last.start(this.#inFlight);
    for (const http2Session of this.#http2Sessions) http2Session.close();
    // After this turn's reads: what has arrived while the process did not run is a request, and not idleness.
    const closeIdle = (): void => void setImmediate(() => this.#idle.closeOld());
    closeIdle();
    this.#closesIdle = setInterval(closeIdle, IDLE_POLL_MS);
  }

  /**
   * After {@link drain}. Resolves to true when they have nothing in flight and no connection on which a request might be on
   * its way, to false when the time is over.
   */
  async drained({ beforeMs, timeoutMs }: DrainedOptions): Promise<boolean> {
    const untilMs = performance.now() + timeoutMs;
    const leftMs = (): number => Math.max(0, untilMs - performance.now());
    while (await this.#inFlight.ended({ beforeMs, timeoutMs: leftMs() })) {
      if (!this.#idle.has(beforeMs) || leftMs() === 0) return true;
      await pause(Math.min(IDLE_POLL_MS, leftMs()));
    }
    return false;
  }

  /** Resolves to true when all responses have left, to false when the time is over. */
  async flushed(timeoutMs: number): Promise<boolean> {
    const untilMs = performance.now() + timeoutMs;
    for (const http2Session of this.#http2Sessions) http2Session.close();
    if (!(await this.#inFlight.ended({ timeoutMs, withYielding: true }))) return false;
    while (this.#http2Sessions.size > 0 && performance.now() < untilMs) await pause(FLUSH_POLL_MS);
    return this.#http2Sessions.size === 0;
  }

  /** Ends all HTTP/2 connections at once. */
  destroy(): void {
    clearInterval(this.#closesIdle);
    const reason = new Error("the control plane has closed");
    for (const http2Session of this.#http2Sessions) endHttp2Session(http2Session, reason);
  }

  get #isDraining(): boolean {
    return this.#closesIdle !== undefined;
  }
}
