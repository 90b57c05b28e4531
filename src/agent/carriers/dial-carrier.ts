/** The interface of the carriers, each of which dials in its own way. */
import type { Carrier } from "../../wire/session/carrier.ts";
import type { TlsFiles } from "../transport/credentials.ts";

export interface CarrierOptions {
  url: URL;
  /** Zone of the URL's IPv6 address; undefined without one. */
  zone: string | undefined;
  /** Unix socket of a relay, in place of the URL's host. */
  socketPath: string | undefined;
  tls: TlsFiles;
  /** Bearer token; undefined if the agent authenticates only by a client certificate. */
  token: string | undefined;
  /** Our own fields of the upgrade request: version, process id, stand-by. */
  headers: Record<string, string>;
  signal: AbortSignal;
}

/** @throws TurnaboutError `carrier_failed` if another carrier may succeed */
export type DialCarrier = (options: CarrierOptions) => Promise<Carrier>;
