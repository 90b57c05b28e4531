/** The byte stream to the control plane's host: TCP or an outbound proxy's tunnel, and TLS where the URL says https. */
import net from "node:net";
import tls from "node:tls";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import type { ErrorCode } from "../wire/error-table.ts";
import { errorCodeOf, toError, TurnaboutError } from "../wire/errors.ts";
import { readTlsMaterial } from "./credentials.ts";
import type { TlsFiles } from "./credentials.ts";
import { hostAndPort, redactUrl } from "./door-url.ts";
import { connectThroughProxy } from "./outbound-proxy.ts";
import { TCP_KEEPALIVE_MS } from "./limits.ts";
import { proxyFor } from "./proxy-for.ts";
import { serverCertificateAdvice } from "./tls-trouble.ts";

export interface TransportOptions {
  url: URL;
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
    return connect({ path: socketPath }, `unix:${socketPath}`, signal);
  }
  const proxy = proxyFor(url);
  const raw =
    proxy === undefined
      ? await connectTcp(host, port, signal)
      : await connectThroughProxy(proxy, { host, port }, options.tls, signal);
  return url.protocol === "https:" ? secure(raw, host, options) : raw;
}

function connectTcp(host: string, port: number, signal: AbortSignal): Promise<net.Socket> {
  const options = { host, port, noDelay: true, autoSelectFamily: true };
  const keepAlive = { keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS };
  return connect({ ...options, ...keepAlive }, `${host}:${port}`, signal);
}

async function connect(to: net.NetConnectOpts, label: string, signal: AbortSignal): Promise<net.Socket> {
  const socket = net.connect(to);
  socket.on("error", () => {}); // for ever
  try {
    await once(socket, "connect", { signal });
    return socket;
  } catch (cause) {
    socket.destroy();
    throw stepFailed("server_unreachable", `connect to ${label}`, cause);
  }
}

async function secure(raw: Duplex, host: string, options: TransportOptions): Promise<tls.TLSSocket> {
  const material = await readTlsMaterial(options.tls);
  const servername = options.tls.serverName ?? (net.isIP(host) === 0 ? host : "");
  const socket = tls.connect({
    socket: raw,
    servername,
    ...(options.alpn.length > 0 && { ALPNProtocols: [...options.alpn] }),
    ...material,
    // The certificate is checked for the host of the URL also where SNI cannot name it (an IP address).
    checkServerIdentity: (_name, certificate) =>
      tls.checkServerIdentity(options.tls.serverName ?? host, certificate),
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

function stepFailed(code: ErrorCode, step: string, cause: unknown): TurnaboutError {
  const error = toError(cause);
  const errno = errorCodeOf(cause);
  const known = errno === undefined || error.message.includes(errno);
  const what = error.name === "AbortError" ? "timed out" : `${error.message}${known ? "" : ` (${errno})`}`;
  const advice = serverCertificateAdvice(cause);
  return new TurnaboutError(code, `${step}: ${what}${advice === undefined ? "" : `; ${advice}`}`, { cause });
}
