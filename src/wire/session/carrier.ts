/** A carrier: the byte stream below a reversed session, plus what is known of it. Nothing above cares which kind it is. */
import type { Duplex } from "node:stream";
import type { CarrierKind } from "../protocol.ts";

export interface Carrier {
  kind: CarrierKind;
  stream: Duplex;
  /** Address of the other end as the socket sees it, for logs only. */
  remoteAddress: string | undefined;
}

/** Bytes that have arrived on a carrier so far. Ask once, when its session has begun: where nobody else counts, this does. */
export function receivedBytes(stream: Duplex): () => number {
  const counted = stream as { readonly bytesRead?: number };
  if (typeof counted.bytesRead === "number") return () => counted.bytesRead ?? 0;
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => (bytes += chunk.length));
  return () => bytes;
}

/** A socket's own byte counters stay live while HTTP/2 drives its handle: the cheapest measure of load. */
export function carrierBytes(stream: Duplex): number {
  const { bytesRead, bytesWritten } = stream as { bytesRead?: number; bytesWritten?: number };
  return (bytesRead ?? 0) + (bytesWritten ?? 0);
}
