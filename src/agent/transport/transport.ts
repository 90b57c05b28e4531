/** The byte stream to the control plane's host: TCP or an outbound proxy's tunnel, and TLS where the URL says https. */
import tls from "node:tls";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { certificateName, sniName } from "../../wire/tls/server-name.ts";
import { readTlsMaterial } from "./credentials.ts";
import type { TlsFiles, TlsMaterial } from "./credentials.ts";
import { hostAndPort, redactUrl } from "./server-url.ts";
import { connectThroughProxy } from "./outbound-proxy.ts";
import { proxyFor } from "./proxy-from-env.ts";
import { connectTcp, connectUnix, stepFailed } from "./tcp.ts";
import { withZone } from "../../wire/fields/url-zone.ts";

export interface TransportOptions {
  url: URL;
  /** Zone of the URL's IPv6 address ({@link withZone}). */
  zone: string | undefined;
  /** A Unix socket in place of the URL's host and port; no outbound proxy leads there. */
  socketPath: string | undefined;
  tls: TlsFiles;
  /** Protocols to offer. Empty: no ALPN at all, which every server and proxy takes as HTTP/1.1. */
  alpn: readonly string[];
  signal: AbortSignal;
}

/**
 * Opens it; names are resolved anew each time.
 *
 * @throws TurnaboutError saying which step failed: `server_unreachable` if no carrier could do better (DNS, TCP, proxy,
 * certificate), else `carrier_failed`
 */
export async function openTransport(options: TransportOptions): Promise<Duplex> {
  const { url, socketPath, signal } = options;
  const { host, port } = hostAndPort(url);
  if (socketPath !== undefined) {
    return connectUnix(socketPath, signal);
  }
  const proxy = proxyFor(url);
  // Before there is a connection: an unreadable file then leaves none behind, and the handshake starts at once.
  const material = url.protocol === "https:" ? await readTlsMaterial(options.tls) : undefined;
  const raw =
    proxy === undefined
      ? await connectTcp(withZone(host, options.zone), port, signal)
      : await connectThroughProxy(proxy, { host, port }, options.tls, signal);
  return material === undefined ? raw : secure(raw, host, material, options);
}

async function secure(
  raw: Duplex,
  host: string,
  material: TlsMaterial,
  options: TransportOptions,
): Promise<tls.TLSSocket> {
  const expected = options.tls.serverName ?? host;
  const socket = tls.connect({
    socket: raw,
    servername: sniName(expected),
    ...(options.alpn.length > 0 && { ALPNProtocols: [...options.alpn] }),
    ...material,
    // The certificate is checked for the host of the URL also where SNI cannot name it (an IP address).
    checkServerIdentity: (_name, certificate) =>
      tls.checkServerIdentity(certificateName(expected), certificate),
  });
  socket.on("error", () => {}); // for ever
  try {
    await once(socket, "secureConnect", { signal: options.signal });
    return socket;
  } catch (cause) {
    socket.destroy();
    raw.destroy();
    // An untrusted certificate is no better on another carrier; an ALPN that nobody selects may well be.
    const untrusted = socket.authorizationError !== null && socket.authorizationError !== undefined;
    const code = untrusted ? "server_unreachable" : "carrier_failed";
    throw stepFailed(code, `TLS with ${redactUrl(options.url.href)}`, cause);
  }
}
