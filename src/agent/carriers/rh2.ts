/** `rh2`: TLS whose ALPN reverses the roles from the first byte on. Needs a path without a TLS terminator. */
import type { TLSSocket } from "node:tls";
import type { Carrier } from "../../wire/session/carrier.ts";
import { isReversedAlpn } from "../../wire/tls/alpn.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { REVERSED_ALPN } from "../../wire/protocol.ts";
import { openTransport } from "../transport/transport.ts";
import type { CarrierOptions } from "./dial-carrier.ts";

export async function dialRh2(options: CarrierOptions): Promise<Carrier> {
  if (options.url.protocol !== "https:") {
    throw new TurnaboutError("carrier_failed", "rh2: the server URL must be https://");
  }
  const socket = (await openTransport({ ...options, alpn: REVERSED_ALPN })) as TLSSocket;
  if (!isReversedAlpn(socket.alpnProtocol)) {
    socket.destroy();
    throw new TurnaboutError(
      "carrier_failed",
      "rh2: the TLS peer did not select a reversed ALPN: TLS is terminated in front of the control plane",
    );
  }
  return { kind: "rh2", stream: socket, remoteAddress: socket.remoteAddress };
}
