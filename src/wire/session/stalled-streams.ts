/** What the streams of a tunnel connection wait for that have bytes to send. */
import type { Http2Session, Http2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { hasEnded } from "../streams/end-stream.ts";

/**
 * - `stream_window`: the other end does not read this stream
 * - `connection_window`: the other end does not read fast enough for all of its streams together
 * - `carrier`: the network, or whoever carries the connection, does not take more
 */
export type StallCause = "stream_window" | "connection_window" | "carrier";

export interface WatchedTunnel {
  readonly http2Session: Http2Session;
  readonly carrier: { readonly stream: Duplex };
  readonly streams: ReadonlySet<Http2Stream>;
}

function noStalls(): Record<StallCause, number> {
  return { stream_window: 0, connection_window: 0, carrier: 0 };
}

/** Counts the stalled streams of these tunnels at this moment. @param maxStreams to be looked at; the rest is not counted */
export function stalledStreams(
  tunnels: Iterable<WatchedTunnel>,
  maxStreams: number,
): Record<StallCause, number> {
  const counts = noStalls();
  let left = maxStreams;
  for (const { http2Session, carrier, streams } of tunnels) {
    if (hasEnded(http2Session)) continue;
    let cause: StallCause | undefined;
    for (const stream of streams) {
      if (left <= 0) return counts;
      left -= 1;
      if (stream.destroyed || stream.writableLength === 0) continue;
      cause ??= causeOf(http2Session, carrier.stream);
      counts[cause] += 1;
    }
  }
  return counts;
}

/** Of a stream that has bytes to send. */
function causeOf(http2Session: Http2Session, carrier: Duplex): StallCause {
  if (queuedBytes(carrier) > 0) return "carrier";
  const { remoteWindowSize = 1 } = http2Session.state;
  return remoteWindowSize <= 0 ? "connection_window" : "stream_window";
}

/** A session writes to the native handle of its socket, past the stream's own queue. */
function queuedBytes(carrier: Duplex): number {
  const handle: unknown = Reflect.get(carrier, "_handle");
  const queued: unknown =
    typeof handle === "object" && handle !== null ? Reflect.get(handle, "writeQueueSize") : 0;
  return carrier.writableLength + (typeof queued === "number" ? queued : 0);
}
