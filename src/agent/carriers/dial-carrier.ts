/** What every carrier needs to be dialled. */
import type { Carrier } from "../../wire/session/carrier.ts";
import type { TlsFiles } from "../transport/credentials.ts";

export interface CarrierOptions {
  url: URL;
  /** Zone of the URL's IPv6 address; undefined without one. */
  zone: string | undefined;
  /** Of a relay's Unix socket, which then takes the place of the URL's host. */
  socketPath: string | undefined;
  tls: TlsFiles;
  /** Bearer token; undefined where only a client certificate identifies. */
  token: string | undefined;
  /** Fields of ours for the upgrade request: version, instance, stand-by. */
  headers: Record<string, string>;
  signal: AbortSignal;
}

/** @throws TurnaboutError: only `carrier_failed` means that another carrier may get through */
export type DialCarrier = (options: CarrierOptions) => Promise<Carrier>;
