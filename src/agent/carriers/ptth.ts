/** `ptth`: an HTTP/1.1 upgrade (draft-kazuho-ptth-ptth). Passes every TLS terminator that forwards unknown upgrade tokens. */
import type { Socket } from "node:net";
import type { Carrier } from "../../wire/session/carrier.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { PTTH_ALPN, PTTH_UPGRADE_TOKEN } from "../../wire/protocol.ts";
import { getRequest } from "../transport/get-request.ts";
import { openTransport } from "../transport/transport.ts";
import type { CarrierOptions } from "./dial-carrier.ts";
import { refusalOf, upgradeRefused } from "./upgrade-refused.ts";

export async function dialPtth(options: CarrierOptions): Promise<Carrier> {
  const { url, token } = options;
  const transport = await openTransport({ ...options, alpn: [] });
  const { promise, resolve, reject } = Promise.withResolvers<Carrier>();
  const request = getRequest(transport, url, {
    connection: "Upgrade",
    upgrade: PTTH_UPGRADE_TOKEN,
    alpn: PTTH_ALPN,
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...options.headers,
  });
  request.on("upgrade", (response, socket, head) => {
    socket.on("error", () => {}); // permanently
    if (response.headers.upgrade?.toLowerCase() !== PTTH_UPGRADE_TOKEN) {
      socket.destroy();
      return reject(new TurnaboutError("carrier_failed", `ptth: upgraded to ${response.headers.upgrade}`));
    }
    if (head.length > 0) socket.unshift(head); // the HTTP/2 preface often shares a packet with the 101
    resolve({ kind: "ptth", stream: socket, remoteAddress: (socket as Partial<Socket>).remoteAddress });
  });
  request.on("response", (response) => {
    void upgradeRefused(refusalOf(response), "ptth").then(reject, reject);
  });
  request.on("error", (cause) => {
    const what = options.signal.aborted ? "no response to the upgrade in time" : cause.message;
    reject(new TurnaboutError("carrier_failed", `ptth: ${what}`, { cause }));
  });
  // Not the `signal` option of http.request: it must not reach the socket once it is upgraded.
  const onAbort = () => request.destroy(toError(options.signal.reason));
  options.signal.addEventListener("abort", onAbort, { once: true });
  request.end();
  try {
    return await promise;
  } catch (error) {
    transport.destroy();
    throw error;
  } finally {
    options.signal.removeEventListener("abort", onAbort);
  }
}
