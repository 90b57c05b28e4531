/** The byte stream to the control plane's host: TCP or an outbound proxy's tunnel, with TLS for https URLs. */
import tls from "node:tls";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { certificateName, sniName } from "../../wire/tls/server-name.ts";
import { readTlsMaterial } from "./credentials.ts";
import type { TlsFiles, TlsMaterial } from "./credentials.ts";
import { hostAndPort, redactUrl } from "./server-url.ts";
import { proxyFor } from "./proxy-from-env.ts";
import type { ProxyAddress } from "./proxy-from-env.ts";
import { connectTcp, connectUnix } from "./tcp.ts";
import { handshakeFailed } from "./tls-errors.ts";
import { withZone } from "../../wire/fields/url-zone.ts";

export interface TransportOptions {
  url: URL;
  /** Zone of the URL's IPv6 address ({@link withZone}). */
  zone: string | undefined;
  /** A Unix socket in place of the URL's host and port, reached without an outbound proxy. */
  socketPath: string | undefined;
  tls: TlsFiles;
  /** Protocols to offer. Empty: no ALPN, which servers and proxies take as HTTP/1.1. */
  alpn: readonly string[];
  signal: AbortSignal;
}

/**
 * Opens the stream; names are resolved each time.
 *
 * @throws TurnaboutError with the step that failed: `server_unreachable` if it fails for every carrier (DNS, TCP, proxy,
 * certificate), else `carrier_failed`
 */
export async function openTransport(options: TransportOptions): Promise<Duplex> {
  const { url, socketPath } = options;
  // Before there is a connection: an unreadable file then leaves none behind, and the handshake starts at once.
  const isTls = url.protocol === "https:" && socketPath === undefined;
  const material = isTls ? await readTlsMaterial(options.tls) : undefined;
  const raw = await openRaw(options);
  return material === undefined ? raw : secure(raw, hostAndPort(url).host, material, options);
}

/** The same below TLS. */
export async function openRaw(options: Omit<TransportOptions, "alpn">): Promise<Duplex> {
  const { url, zone, socketPath, signal } = options;
  if (socketPath !== undefined) return connectUnix(socketPath, signal);
  const { host, port } = hostAndPort(url);
  const proxy = proxyFor(url);
  return proxy === undefined
    ? connectTcp(withZone(host, zone), port, signal)
    : throughProxy(proxy, { host, port }, options);
}

/** Loaded on demand: most agents have no proxy, and its libraries are a sixth of what an agent loads. */
async function throughProxy(
  proxy: ProxyAddress,
  to: { host: string; port: number },
  { tls: files, signal }: Omit<TransportOptions, "alpn">,
): Promise<Duplex> {
  const { connectThroughProxy } = await import("./outbound-proxy.ts");
  return connectThroughProxy(proxy, to, files, signal);
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
    // The certificate must name the URL's host, even if SNI cannot (an IP address).
    checkServerIdentity: (_name, certificate) =>
      tls.checkServerIdentity(certificateName(expected), certificate),
  });
  socket.on("error", () => {}); // permanently
  try {
    await once(socket, "secureConnect", { signal: options.signal });
    return socket;
  } catch (cause) {
    socket.destroy();
    raw.destroy();
    const isUntrusted = socket.authorizationError !== null && socket.authorizationError !== undefined;
    const { caFile } = options.tls;
    throw handshakeFailed(`TLS with ${redactUrl(options.url.href)}`, cause, { isUntrusted, caFile });
  }
}
