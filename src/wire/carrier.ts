/** A carrier: the byte stream below a reversed session, plus what is known of it. Nothing above cares which kind it is. */
import type { Duplex } from "node:stream";
import type { CarrierKind } from "./protocol.ts";

export interface Carrier {
  kind: CarrierKind;
  stream: Duplex;
  /** Address of the other end as the socket sees it, for logs only. */
  remoteAddress: string | undefined;
}

/** A socket's own byte counters stay live while HTTP/2 drives its handle: the cheapest measure of load. */
export function carrierBytes(stream: Duplex): number {
  const { bytesRead, bytesWritten } = stream as { bytesRead?: number; bytesWritten?: number };
  return (bytesRead ?? 0) + (bytesWritten ?? 0);
}
