/**
 * Ends an HTTP/2 connection whose peer floods it. node handles most frames in native code and reports few of them, so the
 * bytes are counted: those that are neither content nor header of a message are overhead (PING, SETTINGS, WINDOW_UPDATE,
 * PRIORITY, padding, empty DATA frames, headers of refused streams). Their number is bounded by time, by the content that
 * they accompany and by what this end has sent, which the peer acknowledges. nginx has the same rule for the life of a
 * connection.
 *
 * One timer serves all connections. A flood lasts until its next tick, and no longer.
 */
import type { ClientHttp2Session, Http2Session, Http2Stream, IncomingHttpHeaders } from "node:http2";
import { constants } from "node:http2";
import type { Duplex } from "node:stream";
import {
  CONTENT_BYTES_PER_OVERHEAD_BYTE,
  DATA_FRAMES_PER_CHECK,
  FLOOD_CHECK_INTERVAL_MS,
  HEADER_BYTES_PER_FIELD,
  INFORMATIONAL_BURST,
  INFORMATIONAL_PER_S,
  SENT_BYTES_PER_OVERHEAD_BYTE,
  SETTINGS_FRAMES_BURST,
  SETTINGS_FRAMES_PER_S,
} from "../limits.ts";
import { Guard } from "../streams/guard.ts";
import { hasEnded } from "../streams/end-stream.ts";
import { hasRemoteEnded, watchRemoteEnd } from "../streams/remote-end.ts";
import { receivedBytes } from "./carrier.ts";
import { TokenBucket } from "../token-bucket.ts";
import type { TokenBucketOptions } from "../token-bucket.ts";

export interface FloodLimits {
  overheadBytes: TokenBucketOptions;
  /** A stream that ends before all of its content has come is followed by content under way: at most its window. */
  lateBytesPerStream: number;
  /** Of all streams together: the connection's window. */
  maxLateBytes: number;
  /** By second, where the peer decides how many streams end so. Default: unlimited. */
  lateBytesPerS?: number;
}

/** Bytes of the connection so far, counted below HTTP/2. */
export interface ByteCounters {
  received: () => number;
  sent: () => number;
}

/** Counters of a socket, or of another carrier. Call it when the session has begun. */
export function countersOf(stream: Duplex): ByteCounters {
  const counted = stream as { readonly bytesWritten?: number };
  return { received: receivedBytes(stream), sent: () => counted.bytesWritten ?? 0 };
}

class FloodWatch {
  readonly http2Session: Http2Session;
  readonly guard: Guard = new Guard(() => watches.delete(this));
  readonly #counters: ByteCounters;
  readonly #onFlood: (reason: string) => void;
  readonly #overhead: TokenBucket;
  readonly #settings = new TokenBucket({ burst: SETTINGS_FRAMES_BURST, perS: SETTINGS_FRAMES_PER_S });
  readonly #informational = new TokenBucket({ burst: INFORMATIONAL_BURST, perS: INFORMATIONAL_PER_S });
  readonly #limits: FloodLimits;
  readonly #lateRate: TokenBucket | undefined;
  /** Content of ended streams that may still come. */
  #lateBytes = 0;
  #contentBytes = 0;
  #explainedBytes = 0;
  #overheadBytes: number;
  /** Received at the last check. */
  #checkedBytes = -1;
  #settingsFrames = 0;
  #dataFrames = 0;
  #isFlooded = false;

  constructor(
    http2Session: Http2Session,
    counters: ByteCounters,
    limits: FloodLimits,
    onFlood: (reason: string) => void,
  ) {
    this.http2Session = http2Session;
    this.#counters = counters;
    this.#onFlood = onFlood;
    this.#overhead = new TokenBucket(limits.overheadBytes);
    this.#limits = limits;
    const { maxLateBytes, lateBytesPerS } = limits;
    if (lateBytesPerS !== undefined) {
      this.#lateRate = new TokenBucket({ burst: maxLateBytes, perS: lateBytesPerS });
    }
    this.#overheadBytes = this.#countOverhead();
    const countFrame = (): void => void (this.#settingsFrames += 1);
    http2Session.on("remoteSettings", countFrame);
    http2Session.on("goaway", countFrame);
  }

  /** Counts a stream's content, and what may follow its end. */
  add(stream: Http2Stream): void {
    stream.once("trailers", this.explain);
    this.#contentBytes += stream.readableLength; // came in the packet of the header
    watchRemoteEnd(stream);
    const push = stream.push.bind(stream);
    const count = (chunk: unknown, encoding?: BufferEncoding): boolean => {
      if (!Buffer.isBuffer(chunk)) return push(chunk, encoding);
      this.#contentBytes += chunk.length;
      this.#countFrame();
      return this.#isFlooded || push(chunk, encoding);
    };
    stream.push = count;
    stream.once("close", () => {
      if (hasRemoteEnded(stream) === true) return;
      const { lateBytesPerStream, maxLateBytes } = this.#limits;
      if (this.#lateRate?.take(lateBytesPerStream) === false) return;
      this.#lateBytes = Math.min(maxLateBytes, this.#lateBytes + lateBytesPerStream);
    });
  }

  /** A header or trailer section of a message has come. */
  readonly explain = (fields: IncomingHttpHeaders): void => {
    this.#explainedBytes += headerBytes(fields);
  };

  /** Most connections are idle, and there are thousands: theirs costs next to nothing. */
  readonly check = (): void => {
    const receivedBytes = this.#counters.received();
    if (receivedBytes === this.#checkedBytes) return;
    this.#checkedBytes = receivedBytes;
    if (hasEnded(this.http2Session)) return void watches.delete(this);
    const reason = this.#judge();
    if (reason === undefined) return;
    watches.delete(this);
    this.#onFlood(reason);
  };

  /** DATA frames cost a callback and an object each, and hundreds of thousands may come in one turn of the event loop. */
  #countFrame(): void {
    this.#dataFrames += 1;
    if (this.#dataFrames % DATA_FRAMES_PER_CHECK !== 0 || this.#isFlooded) return;
    const reason = this.#judge();
    if (reason === undefined) return;
    this.#isFlooded = true; // what else comes in this turn is dropped
    watches.delete(this);
    setImmediate(() => {
      if (!hasEnded(this.http2Session)) this.#onFlood(reason);
    });
  }

  /** Informational responses cost more than any other frame, and their header blocks may have a few bytes. */
  readonly countInformational = (): void => {
    if (this.#isFlooded || this.#informational.take()) return;
    this.#isFlooded = true;
    watches.delete(this);
    setImmediate(() => {
      if (!hasEnded(this.http2Session)) this.#onFlood("too many informational responses");
    });
  };

  /** @returns why it is a flood */
  #judge(): string | undefined {
    const overheadBytes = this.#countOverhead();
    const added = overheadBytes - this.#overheadBytes;
    this.#overheadBytes = overheadBytes;
    const frames = this.#settingsFrames;
    this.#settingsFrames = 0;
    const lateBytes = Math.min(Math.max(added, 0), this.#lateBytes);
    this.#lateBytes -= lateBytes;
    if (!this.#overhead.take(added - lateBytes))
      return `${Math.round(added)} bytes of frames without content`;
    return this.#settings.take(frames) ? undefined : `${frames} SETTINGS or GOAWAY frames`;
  }

  #countOverhead(): number {
    const { received, sent } = this.#counters;
    return (
      received() -
      this.#contentBytes * (1 + 1 / CONTENT_BYTES_PER_OVERHEAD_BYTE) -
      this.#explainedBytes -
      sent() / SENT_BYTES_PER_OVERHEAD_BYTE
    );
  }
}

/**
 * Watches a connection until it ends. Call it in the turn in which the session was created.
 *
 * @param onFlood called once; must end the connection
 */
export function watchFloods(
  http2Session: Http2Session,
  counters: ByteCounters,
  limits: FloodLimits,
  onFlood: (reason: string) => void,
): void {
  const watch = new FloodWatch(http2Session, counters, limits, onFlood);
  if (http2Session.type === constants.NGHTTP2_SESSION_SERVER) {
    const onStream = (stream: Http2Stream, headers: IncomingHttpHeaders): void => {
      watch.explain(headers);
      watch.add(stream);
    };
    http2Session.prependListener("stream", onStream);
  } else {
    const client = http2Session as ClientHttp2Session;
    const request = client.request.bind(client);
    const watchedRequest: typeof request = (...args) => {
      const stream = request(...args);
      stream.once("response", watch.explain);
      stream.on("headers", watch.countInformational);
      watch.add(stream);
      return stream;
    };
    client.request = watchedRequest;
  }
  http2Session.once("close", () => watches.delete(watch));
  watches.add(watch);
  timer ??= setInterval(checkAll, FLOOD_CHECK_INTERVAL_MS).unref();
}

/** At most as many as the block took, as a peer with a sound encoder sends it. */
function headerBytes(headers: IncomingHttpHeaders): number {
  let bytes = 0;
  for (const name of Object.keys(headers)) {
    const value: unknown = headers[name]; // a number for `:status`
    const perItem = name.length + HEADER_BYTES_PER_FIELD;
    if (!Array.isArray(value)) bytes += perItem + (typeof value === "string" ? value.length : 0);
    else for (const item of value) bytes += perItem + String(item).length;
  }
  return bytes;
}

const watches = new Set<FloodWatch>();
let timer: NodeJS.Timeout | undefined;

function checkAll(): void {
  for (const { guard, check } of watches) guard.run(check);
  if (watches.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}
