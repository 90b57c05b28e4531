/**
 * A carrier: the byte stream below a tunnel connection, and its origin. Nothing above depends on its kind.
 *
 * A new kind is named here, dialled by a file of `src/agent/carriers/` (listed in its `auto.ts`), and accepted by
 * `src/control/admission/agent-endpoint.ts` (an upgrade) or by the listener (ALPN). docs/protocol.md specifies it,
 * `turnabout agent --help` and docs/operations.md name it.
 */
import type { Duplex } from "node:stream";

/**
 * In the order in which `--carrier auto` tries them. `h2` is last, because few intermediaries pass it: it is for reverse
 * proxies that speak nothing but HTTP/2.
 */
export const CARRIER_KINDS = ["rh2", "ptth", "websocket", "h2"] as const;
export type CarrierKind = (typeof CARRIER_KINDS)[number];

export interface Carrier {
  kind: CarrierKind;
  stream: Duplex;
  /** Address of the other end as the socket reports it, for logs only. */
  remoteAddress: string | undefined;
}

/**
 * Counts the bytes that have arrived on a carrier. Call it once, when its session has begun: a stream without a counter of
 * its own gets one.
 */
export function receivedBytes(stream: Duplex): () => number {
  const counted = stream as { readonly bytesRead?: number };
  if (typeof counted.bytesRead === "number") return () => counted.bytesRead ?? 0;
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => (bytes += chunk.length));
  return () => bytes;
}

/** Bytes in both directions. A socket's counters also work while HTTP/2 drives its handle: the cheapest measure of load. */
export function carrierBytes(stream: Duplex): number {
  const { bytesRead, bytesWritten } = stream as { bytesRead?: number; bytesWritten?: number };
  return (bytesRead ?? 0) + (bytesWritten ?? 0);
}
