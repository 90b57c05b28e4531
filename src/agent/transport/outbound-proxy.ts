/**
 * Connects through the outbound proxy that the environment names: by CONNECT, with Basic authentication from its URL, or by
 * SOCKS. ALPN decides whether an https proxy speaks HTTP/2; http2-wrapper then opens the stream.
 */
import { Agent, auto } from "http2-wrapper";
import http from "node:http";
import https from "node:https";
import type { SecureClientSessionOptions } from "node:http2";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { guardHttp2Session, guardStream } from "../../wire/streams/end-stream.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { sniName } from "../../wire/tls/server-name.ts";
import { TunnelSocket } from "../../wire/streams/tunnel-socket.ts";
import { ConnectRefused } from "./connect-refused.ts";
import { readTlsMaterial, withoutClientCertificate } from "./credentials.ts";
import { limitInformational } from "./informational.ts";
import type { TlsFiles } from "./credentials.ts";
import type { ProxyAddress } from "./proxy-from-env.ts";
import { connectThroughSocks } from "./socks-proxy.ts";

interface Endpoint {
  host: string;
  port: number;
}

/** @throws TurnaboutError `server_unreachable` with the proxy's reason, or `config_invalid` for a file of the agent */
export async function connectThroughProxy(
  proxy: ProxyAddress,
  to: Endpoint,
  tlsFiles: TlsFiles,
  signal: AbortSignal,
): Promise<Duplex> {
  try {
    if (proxy.scheme.startsWith("socks")) return await connectThroughSocks(proxy, to, signal);
    return (await speaksHttp2(proxy, tlsFiles))
      ? await connectByHttp2(proxy, to, tlsFiles, signal)
      : await connectByHttp1(proxy, to, tlsFiles, signal);
  } catch (cause) {
    if (cause instanceof TurnaboutError && cause.code === "config_invalid") throw cause;
    const what = toError(cause).name === "AbortError" ? "timed out" : toError(cause).message;
    throw new TurnaboutError("server_unreachable", `outbound proxy ${proxy.label}: ${what}`, { cause });
  }
}

async function speaksHttp2(proxy: ProxyAddress, tlsFiles: TlsFiles): Promise<boolean> {
  // http2-wrapper takes a URL, which cannot contain a zone.
  if (proxy.scheme !== "https" || proxy.host.includes("%")) return false;
  const resolve = auto.createResolveProtocol(new Map(), new Map()); // without a cache: the proxy may change
  const { alpnProtocol } = await resolve({
    host: proxy.host,
    port: proxy.port,
    servername: sniName(proxy.host),
    ALPNProtocols: ["h2", "http/1.1"],
    timeout: 5_000,
    ...(await readTlsMaterial(withoutClientCertificate(tlsFiles))),
  });
  return alpnProtocol === "h2";
}

async function connectByHttp1(
  proxy: ProxyAddress,
  to: Endpoint,
  tlsFiles: TlsFiles,
  signal: AbortSignal,
): Promise<Duplex> {
  const authority = formatAuthority(to);
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const request = (proxy.scheme === "https" ? https : http).request({
    host: proxy.host,
    port: proxy.port,
    method: "CONNECT",
    path: authority,
    headers: { host: authority, ...authorization(proxy) },
    servername: sniName(proxy.host), // node would take it from Host, which names the control plane
    agent: false,
    signal,
    ...(await readTlsMaterial(withoutClientCertificate(tlsFiles))),
  });
  limitInformational(request);
  request.on("error", reject);
  request.on("connect", (response, socket, head) => {
    socket.on("error", () => {}); // permanently
    if (response.statusCode !== 200) {
      socket.destroy();
      return reject(refusalOf(response, authority));
    }
    if (head.length > 0) socket.unshift(head);
    resolve(socket);
  });
  request.on("response", (response) => {
    response.resume();
    reject(refusalOf(response, authority));
  });
  request.end();
  return promise;
}

function refusalOf({ statusCode }: http.IncomingMessage, authority: string): ConnectRefused {
  return new ConnectRefused(authority, statusCode ?? 0);
}

async function connectByHttp2(
  proxy: ProxyAddress,
  to: Endpoint,
  tlsFiles: TlsFiles,
  signal: AbortSignal,
): Promise<Duplex> {
  const authority = formatAuthority(to);
  const material = await readTlsMaterial(withoutClientCertificate(tlsFiles));
  const agent = new AbortableAgent({ maxSessions: 1 });
  agent.on("session", guardHttp2Session);
  const onAbort = () => agent.abort(toError(signal.reason));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    const options = { ...material, servername: sniName(proxy.host) };
    const stream = await agent.request(new URL(`https://${proxy.label}`), options, {
      ":method": "CONNECT",
      ":authority": authority,
      ...authorization(proxy),
    });
    guardStream(stream);
    const socket = new TunnelSocket(stream, `${authority} by HTTP/2`);
    socket.on("error", () => {}); // permanently: an error without a listener would end the process
    socket.once("close", () => agent.destroy());
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
    socket.once("error", reject);
    stream.once("response", (headers) => {
      if (headers[":status"] === 200) resolve(socket);
      else reject(new ConnectRefused(authority, headers[":status"] ?? 0));
    });
    return await promise;
  } catch (error) {
    agent.abort(toError(error));
    throw signal.aborted ? toError(signal.reason) : error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** http2-wrapper's agent takes no signal: a proxy that sends no SETTINGS would hold the attempt permanently. */
class AbortableAgent extends Agent {
  readonly #aborted = new AbortController();

  abort(reason: Error): void {
    this.#aborted.abort(reason);
    this.destroy(reason);
  }

  override async createConnection(origin: URL, options: SecureClientSessionOptions): Promise<TLSSocket> {
    const socket = await super.createConnection(origin, options);
    const { signal } = this.#aborted;
    if (signal.aborted) socket.destroy(toError(signal.reason));
    else signal.addEventListener("abort", () => socket.destroy(toError(signal.reason)), { once: true });
    return socket;
  }
}

function authorization(proxy: ProxyAddress): Record<string, string> {
  if (proxy.username === "" && proxy.password === "") return {};
  const pair = `${proxy.username}:${proxy.password}`;
  return { "proxy-authorization": `Basic ${Buffer.from(pair).toString("base64")}` };
}

function formatAuthority({ host, port }: Endpoint): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
