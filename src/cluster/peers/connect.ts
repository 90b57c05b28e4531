/** A connection to another node's port, on which an HTTP/1.1 upgrade may be sent: TLS by an `https` URL, and TCP otherwise. */
import net from "node:net";
import tls from "node:tls";
import { TurnaboutError } from "../../wire/errors.ts";
import { splitZone, withZone } from "../../wire/fields/url-zone.ts";
import { certificateName, sniName } from "../../wire/tls/server-name.ts";
import { PEER_HANDSHAKE_TIMEOUT_MS } from "./limits.ts";

/** @param ca PEM of a private CA, instead of the system's. @throws TurnaboutError `carrier_failed` */
export async function connectToNode(
  address: string,
  ca: string | undefined,
  signal: AbortSignal,
): Promise<net.Socket> {
  const { text, zone } = splitZone(address);
  const url = new URL(text);
  const isTls = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
  const to = { host: withZone(host, zone), port, noDelay: true };
  const socket = isTls
    ? tls.connect({
        ...to,
        servername: sniName(host),
        checkServerIdentity: (_name, certificate) =>
          tls.checkServerIdentity(certificateName(host), certificate),
        ALPNProtocols: ["http/1.1"],
        ...(ca !== undefined && { ca }),
      })
    : net.connect(to);
  const { promise, resolve, reject } = Promise.withResolvers<net.Socket>();
  const fail = (cause: Error): void => {
    socket.destroy();
    reject(new TurnaboutError("carrier_failed", `cannot reach ${url.host}: ${cause.message}`, { cause }));
  };
  const onAbort = (): void => fail(new Error("closed"));
  const onTimeout = (): void => fail(new Error(`no connection within ${PEER_HANDSHAKE_TIMEOUT_MS} ms`));
  socket.setTimeout(PEER_HANDSHAKE_TIMEOUT_MS, onTimeout);
  socket.on("error", fail); // permanent
  socket.once("close", () => fail(new Error("closed")));
  socket.once(isTls ? "secureConnect" : "connect", () => {
    socket.off("timeout", onTimeout);
    socket.setTimeout(0);
    resolve(socket);
  });
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
