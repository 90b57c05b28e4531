/**
 * One connection to the control plane's port without the token: its TLS certificate, whether it is checked or not, and the
 * response of what is behind it.
 */
import type { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { CHECK_CREDENTIAL, HEADER } from "../../../wire/protocol.ts";
import { certificateName, sniName } from "../../../wire/tls/server-name.ts";
import { REFUSAL_EXCERPT_TIMEOUT_MS } from "../../limits.ts";
import { readTlsMaterial, withoutClientCertificate } from "../../transport/credentials.ts";
import { getRequest } from "../../transport/get-request.ts";
import { hostAndPort } from "../../transport/server-url.ts";
import { openRaw } from "../../transport/transport.ts";
import type { CheckContext } from "../context.ts";
import { inTime } from "../in-time.ts";
import { CHECK_PROXY_TIMEOUT_MS, CHECK_RESPONSE_TIMEOUT_MS, MAX_CHECKED_BODY_BYTES } from "../limits.ts";

export interface TlsSeen {
  certificate: X509Certificate | undefined;
  /** Code of OpenSSL or node; undefined for a certificate that is trusted. */
  problem: string | undefined;
  /** `TLSv1.3` */
  protocol: string | null;
}

export interface HttpSeen {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** By this machine's clock, Unix milliseconds: halfway between request and response. */
  atMs: number;
  ms: number;
}

export type Attempt<T> = { seen: T } | { error: unknown };

/** A connection below TLS. */
export function openPort({
  maxStepMs,
  options,
  signal,
  socketPath,
  url,
  zone,
}: CheckContext): Promise<Duplex> {
  const timeoutMs = Math.min(CHECK_PROXY_TIMEOUT_MS, maxStepMs);
  const step = { label: `connect to ${url.host}`, timeoutMs, signal };
  return inTime(step, (limit) => openRaw({ url, zone, socketPath, tls: options, signal: limit }));
}

/** A handshake whose certificate is judged, but not refused: nothing secret is sent on the connection. */
export async function handshake(
  context: CheckContext,
  raw: Duplex,
): Promise<Attempt<TlsSeen & { socket: tls.TLSSocket }>> {
  const { maxStepMs, options, signal, url } = context;
  const expected = options.serverName ?? hostAndPort(url).host;
  try {
    const material = await readTlsMaterial(withoutClientCertificate(options));
    const socket = tls.connect({
      socket: raw,
      servername: sniName(expected),
      ...material,
      rejectUnauthorized: false,
      checkServerIdentity: (_name, certificate) =>
        tls.checkServerIdentity(certificateName(expected), certificate),
    });
    socket.on("error", () => {}); // permanently
    const timeoutMs = Math.min(CHECK_RESPONSE_TIMEOUT_MS, maxStepMs);
    const step = { label: "TLS handshake", timeoutMs, signal };
    await inTime(step, (limit) => once(socket, "secureConnect", { signal: limit }));
    // Its type is that of an Error, its value is a code.
    const problem = socket.authorized ? undefined : String(socket.authorizationError);
    const certificate = socket.getPeerX509Certificate();
    return { seen: { socket, certificate, problem, protocol: socket.getProtocol() } };
  } catch (error) {
    raw.destroy();
    return { error };
  }
}

/** A GET of the agent endpoint, by HTTP/1.1 and without an upgrade. */
export async function get(
  { maxStepMs, now, signal, url }: Pick<CheckContext, "maxStepMs" | "now" | "signal" | "url">,
  stream: Duplex,
  fields: Record<string, string> = {},
): Promise<Attempt<HttpSeen>> {
  const sentMs = now();
  const startedMs = performance.now();
  const request = getRequest(stream, url, {
    connection: "close",
    accept: "application/json",
    [HEADER.check]: CHECK_CREDENTIAL,
    ...fields,
  });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request.on("error", reject);
  request.on("response", resolve);
  request.on("close", () => reject(new Error("the connection was closed without a response")));
  try {
    const timeoutMs = Math.min(CHECK_RESPONSE_TIMEOUT_MS, maxStepMs);
    const step = { label: "response", timeoutMs, signal };
    return await inTime(step, async () => {
      request.end();
      const response = await promise;
      const { statusCode: status = 0, headers } = response;
      const ms = performance.now() - startedMs;
      const atMs = (sentMs + now()) / 2;
      return { seen: { status, headers, atMs, ms, body: await readStart(response) } };
    });
  } catch (error) {
    return { error };
  } finally {
    promise.catch(() => {}); // also where the deadline came first
    request.destroy();
    stream.destroy();
  }
}

/** What has arrived when it ends, breaks or is long enough. */
async function readStart(response: IncomingMessage): Promise<string> {
  const timer = setTimeout(() => response.destroy(), REFUSAL_EXCERPT_TIMEOUT_MS);
  let text = "";
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      text += chunk.toString("utf8");
      if (text.length > MAX_CHECKED_BODY_BYTES) break;
    }
  } catch {
    // What has arrived is enough.
  } finally {
    clearTimeout(timer);
  }
  return text;
}
