/**
 * Bytes that wait for callers who do not read them. A caller to whom nothing can be delivered for a while is ended, and so
 * are the slowest of a credential that has too many bytes waiting. A stream with nothing to deliver may be idle for as long
 * as it likes.
 */
import { ServerResponse } from "node:http";
import type { Http2ServerResponse, Http2Session } from "node:http2";
import net from "node:net";
import type { Duplex } from "node:stream";
import { STREAM_WINDOW_BYTES } from "../../wire/limits.ts";
import { OpenList } from "../in-flight/open-list.ts";
import type { Listed } from "../in-flight/open-list.ts";
import { isOperator } from "./holders.ts";
import {
  BULK_EXCHANGES_AT_ONCE,
  BULK_RESPONSE_BYTES,
  FILLING_MS,
  MOVING_CONNECTION_BYTES,
  READ_PROOF_BYTES,
  STALL_TURNS,
  STILL_STREAM_BYTES,
  UNREAD_BYTES_FULL_PERCENT,
  UNREAD_CHECK_GROWTH,
  UNREAD_CHECK_MS,
  UNREAD_CHECK_STREAMS,
} from "./limits.ts";

/** Where the bytes go: a response, or the socket or HTTP/2 stream of a tunnel. */
export type CallerEnd = ServerResponse | Http2ServerResponse | Duplex;

export type StallReason = "not-read" | "too-many-bytes";

export interface Delivery {
  /** Whose bytes they are. */
  readonly holder: string;
  readonly end: CallerEnd;
  /** Bytes that have been written to `end` so far. Only used where that has no count of its own. */
  writtenBytes: () => number;
  /** Bytes that have come for it, framing included. Default: what was written. */
  receivedBytes?: () => number;
  /** Bytes of the exchange that wait in memory besides those written to `end`. */
  heldBytes: () => number;
  stop: (reason: StallReason) => void;
}

export interface UnreadBounds {
  /** 0: callers may stop reading without limit. */
  stallMs: number;
  perHolderBytes: number;
  perOperatorBytes: number;
  totalBytes: number;
  onStop: (reason: StallReason) => void;
}

/** What was seen of a delivery at the last check. */
interface Seen extends Listed {
  readonly delivery: Delivery;
  /** Bytes that had left for the caller. */
  delivered: number | undefined;
  movedAtMs: number;
  /** What its connection had sent then. */
  connectionBytes: number;
  readonly sinceMs: number;
  /** What had come for the caller. */
  receivedBytes: number;
  /** When more than {@link BULK_RESPONSE_BYTES} of it were seen first. */
  bulkSinceMs: number | undefined;
  /** In memory at the last check. */
  bytes: number;
  /** What it will soon hold, if its caller goes on as at the last check. */
  expectedBytes: number;
  /** It is new, and has no data yet: what it will hold, nobody knows. */
  isUndecided: boolean;
}

/** All of one holder, at a check. */
interface Held {
  bytes: number;
  expectedBytes: number;
  /** Those that are expected to fill their windows. */
  filling: number;
  undecided: number;
}

const NO_HOLDERS: ReadonlySet<string> = new Set();

export class UnreadBytes {
  readonly #bounds: UnreadBounds;
  readonly #open = new OpenList<Seen>();
  /** Holders with so many bytes that they get no further streams, at the last check. */
  #full: ReadonlySet<string> = NO_HOLDERS;
  #timer: NodeJS.Timeout | undefined;
  #total = 0;
  /** How many more are open than at the last check. */
  #grown = 0;

  constructor(bounds: UnreadBounds) {
    this.#bounds = bounds;
  }

  /** At the last check. */
  get totalBytes(): number {
    return this.#total;
  }

  /** Whether so much waits for this holder that it gets no further streams. */
  isFull(holder: string): boolean {
    return this.#full.has(holder);
  }

  /** @returns ends the watch */
  add(delivery: Delivery, nowMs: number = performance.now()): () => void {
    const seen: Seen = {
      delivery,
      delivered: undefined,
      sinceMs: nowMs,
      receivedBytes: 0,
      bulkSinceMs: undefined,
      movedAtMs: nowMs,
      connectionBytes: 0,
      bytes: 0,
      expectedBytes: 0,
      isUndecided: false,
      listIndex: -1,
    };
    this.#open.add(seen);
    this.#timer ??= setInterval(() => this.check(), UNREAD_CHECK_MS).unref();
    this.#grown += 1;
    if (this.#grown >= Math.max(UNREAD_CHECK_STREAMS, this.#open.size / UNREAD_CHECK_GROWTH))
      this.check(nowMs);
    return () => {
      if (this.#open.remove(seen)) this.#grown -= 1;
      if (this.#open.size === 0) this.#reset();
    };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#reset();
  }

  /** Looks at everything that is open, and ends what is over a bound. */
  check(nowMs: number = performance.now()): void {
    if (this.#open.size === 0) return this.close();
    const byHolder = new Map<string, Held>();
    const stalled: Seen[] = [];
    this.#total = 0;
    this.#grown = 0;
    for (const seen of this.#open.values()) {
      if (this.#isStalled(seen, nowMs)) stalled.push(seen);
      count(byHolder, seen);
      this.#total += seen.bytes;
    }
    for (const seen of stalled) this.#stop(seen, "not-read", byHolder);
    const full = new Set<string>();
    for (const [holder, held] of byHolder) {
      const { perHolderBytes, perOperatorBytes } = this.#bounds;
      const max = isOperator(holder) ? perOperatorBytes : perHolderBytes;
      if (expectedBytes(held) > (max * UNREAD_BYTES_FULL_PERCENT) / 100) full.add(holder);
      if (held.bytes > max) this.#relieve(holder, held.bytes - max, byHolder);
    }
    this.#full = full;
    while (this.#total > this.#bounds.totalBytes) {
      const [largest] = [...byHolder].toSorted(([, a], [, b]) => b.bytes - a.bytes);
      if (largest === undefined) return;
      const [holder] = largest;
      this.#relieve(holder, this.#total - this.#bounds.totalBytes, byHolder);
      byHolder.delete(holder);
    }
  }

  #reset(): void {
    this.#full = NO_HOLDERS;
    this.#total = 0;
  }

  /** Notes what has moved since the last check. */
  #isStalled(seen: Seen, nowMs: number): boolean {
    const { delivery } = seen;
    const pending = pendingBytes(delivery.end);
    const delivered = pending === 0 ? undefined : deliveredBytes(delivery, pending);
    seen.bytes = pending + delivery.heldBytes();
    const isMoving = seen.delivered !== undefined && delivered !== seen.delivered;
    const isFilling = isFillingUp(seen, pending, nowMs);
    const isStill = !isMoving && seen.bytes >= STILL_STREAM_BYTES;
    seen.expectedBytes = isFilling || isStill ? Math.max(seen.bytes, STREAM_WINDOW_BYTES) : seen.bytes;
    if (delivered === undefined || delivered !== seen.delivered) {
      seen.delivered = delivered;
      seen.movedAtMs = nowMs;
      if (delivered !== undefined) seen.connectionBytes = connectionBytes(delivery.end);
      return false;
    }
    const { stallMs } = this.#bounds;
    const stillMs = nowMs - seen.movedAtMs;
    if (stallMs === 0 || stillMs < stallMs) return false;
    const moved = connectionBytes(delivery.end) - seen.connectionBytes;
    return stillMs >= stallMs * STALL_TURNS || moved < MOVING_CONNECTION_BYTES * (stillMs / stallMs);
  }

  /** Ends those of a holder that have moved least recently, until so many bytes are freed. */
  #relieve(holder: string, excess: number, byHolder: ReadonlyMap<string, Held>): void {
    let left = excess;
    const own = this.#open.all().filter(({ delivery, bytes }) => delivery.holder === holder && bytes > 0);
    for (const seen of own.toSorted((a, b) => a.movedAtMs - b.movedAtMs || b.bytes - a.bytes)) {
      if (left <= 0) return;
      left -= seen.bytes;
      this.#stop(seen, "too-many-bytes", byHolder);
    }
  }

  #stop(seen: Seen, reason: StallReason, byHolder: ReadonlyMap<string, Held>): void {
    const { delivery, bytes } = seen;
    if (this.#open.remove(seen)) this.#grown -= 1;
    this.#total -= bytes;
    const held = byHolder.get(delivery.holder);
    if (held !== undefined) held.bytes -= bytes;
    this.#bounds.onStop(reason);
    delivery.stop(reason);
  }
}

function count(byHolder: Map<string, Held>, seen: Seen): void {
  const { holder } = seen.delivery;
  let held = byHolder.get(holder);
  if (held === undefined)
    byHolder.set(holder, (held = { bytes: 0, expectedBytes: 0, filling: 0, undecided: 0 }));
  held.bytes += seen.bytes;
  held.expectedBytes += seen.expectedBytes;
  if (seen.expectedBytes >= STREAM_WINDOW_BYTES) held.filling += 1;
  if (seen.isUndecided) held.undecided += 1;
}

/** New streams of a holder with many that fill their windows are expected to do the same. */
function expectedBytes(held: Held): number {
  const isLikely = held.filling >= BULK_EXCHANGES_AT_ONCE;
  return held.expectedBytes + (isLikely ? held.undecided * STREAM_WINDOW_BYTES : 0);
}

/** Bytes in node's queue for the caller. */
function pendingBytes(end: CallerEnd): number {
  if (end instanceof ServerResponse) return end.writableLength;
  return "stream" in end ? end.stream.writableLength : end.writableLength;
}

/** Whether it has just begun to move much data, which may only fill the buffers on its way. Notes what has come. */
function isFillingUp(seen: Seen, pending: number, nowMs: number): boolean {
  const { delivery, sinceMs } = seen;
  const receivedBytes = delivery.receivedBytes?.() ?? delivery.writtenBytes();
  const isGrowing = receivedBytes > seen.receivedBytes;
  seen.receivedBytes = receivedBytes;
  seen.isUndecided = receivedBytes < BULK_RESPONSE_BYTES && (isGrowing || nowMs - sinceMs < FILLING_MS);
  if (receivedBytes < BULK_RESPONSE_BYTES || receivedBytes >= READ_PROOF_BYTES) return false;
  seen.bulkSinceMs ??= nowMs;
  // A response ends by itself, mostly soon: only those count for which bytes wait.
  const isWaiting = pending > 0 || seen.bytes >= STILL_STREAM_BYTES;
  return nowMs - seen.bulkSinceMs < FILLING_MS && (isWaiting || !isResponse(delivery.end));
}

function isResponse(end: CallerEnd): boolean {
  return end instanceof ServerResponse || "stream" in end;
}

/** Undefined for a response whose turn on its connection has not come: it does not wait for its reader. */
function deliveredBytes({ end, writtenBytes }: Delivery, pending: number): number | undefined {
  const socket = end instanceof ServerResponse ? end.socket : end;
  if (socket === null) return undefined;
  if (socket instanceof net.Socket) return socket.bytesWritten - socket.writableLength;
  return writtenBytes() - pending;
}

/** What the connection of an HTTP/2 stream has sent; 0 for other ends, which have their connection to themselves. */
function connectionBytes(end: CallerEnd): number {
  const stream: object = "stream" in end ? end.stream : end;
  const { session } = stream as { session?: Http2Session };
  return session === undefined || session.destroyed ? 0 : session.socket.bytesWritten;
}
