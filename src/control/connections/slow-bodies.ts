/**
 * Request bodies that do not arrive. A body that is waited for has to bring some bytes in every while, and what is left of
 * one when the response has been sent has to come soon. A body that nobody reads (the target is slow, or not connected yet)
 * has all the time that its target gets, and so has one whose response has begun: that is a conversation.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Guard } from "../../wire/streams/guard.ts";
import { BODY_CHECK_INTERVAL_MS, BODY_LEFTOVER_MS, BODY_PROGRESS_BYTES, BODY_PROGRESS_MS } from "./limits.ts";

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

export interface SlowBodiesParts {
  /** The body has stalled, and no response has been sent yet. */
  refuse: (request: Request, response: Response) => void;
  /** The response has been sent, and the rest of the body does not come. */
  drop: (request: Request) => void;
  /** Default {@link BODY_PROGRESS_MS}. */
  progressMs?: number | undefined;
  /** Default {@link BODY_LEFTOVER_MS}. */
  leftoverMs?: number | undefined;
  /** Default {@link BODY_CHECK_INTERVAL_MS}. */
  checkMs?: number | undefined;
}

interface Watch {
  readonly request: Request;
  readonly response: Response;
  readonly received: () => number;
  bytes: number;
  /** When it last made progress, or was not waited for. */
  sinceMs: number;
  /** When the response had been sent. */
  sentAtMs: number | undefined;
}

export class SlowBodies {
  readonly #refuse: SlowBodiesParts["refuse"];
  readonly #drop: SlowBodiesParts["drop"];
  readonly #progressMs: number;
  readonly #leftoverMs: number;
  readonly #checkMs: number;
  readonly #watches = new Set<Watch>();
  #timer: NodeJS.Timeout | undefined;

  constructor({ refuse, drop, progressMs, leftoverMs, checkMs }: SlowBodiesParts) {
    this.#refuse = refuse;
    this.#drop = drop;
    this.#progressMs = progressMs ?? BODY_PROGRESS_MS;
    this.#leftoverMs = leftoverMs ?? BODY_LEFTOVER_MS;
    this.#checkMs = checkMs ?? BODY_CHECK_INTERVAL_MS;
  }

  /**
   * Watches a body until it is complete, or its connection has closed.
   *
   * @param received bytes that the caller has sent so far; on HTTP/1.1 those of its connection
   */
  follow(request: Request, response: Response, received: () => number): void {
    const sinceMs = performance.now();
    this.#watches.add({ request, response, received, bytes: received(), sinceMs, sentAtMs: undefined });
    this.#timer ??= setInterval(() => this.#check(), this.#checkMs).unref();
  }

  #check(): void {
    const nowMs = performance.now();
    for (const watch of this.#watches) {
      new Guard(() => this.#drop(watch.request)).run(() => {
        if (this.#isOver(watch, nowMs)) this.#watches.delete(watch);
      });
    }
    if (this.#watches.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #isOver(watch: Watch, nowMs: number): boolean {
    const { request, response } = watch;
    if (request.complete || request.destroyed || request.socket.destroyed) return true;
    if (response.writableEnded) {
      watch.sentAtMs ??= nowMs;
      if (nowMs - watch.sentAtMs < this.#leftoverMs) return false;
      this.#drop(request);
      return true;
    }
    const bytes = watch.received();
    if (bytes - watch.bytes >= BODY_PROGRESS_BYTES || response.headersSent || !isWaitedFor(request)) {
      watch.bytes = bytes;
      watch.sinceMs = nowMs;
      return false;
    }
    if (nowMs - watch.sinceMs < this.#progressMs) return false;
    watch.sinceMs = nowMs;
    this.#refuse(request, response);
    return false;
  }
}

/** All that has come has been read, and the reader waits for more. gRPC streams are quiet for as long as their ends like. */
function isWaitedFor(request: Request): boolean {
  if (request.headers["content-type"]?.startsWith("application/grpc") === true) return false;
  const isRead = request.readableFlowing === true || request.listenerCount("readable") > 0;
  return isRead && request.readableLength === 0;
}
