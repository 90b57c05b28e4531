/** What is behind the control plane's port: TLS or not, its certificate, and whether the agent endpoint is there. */
import type { TLSSocket } from "node:tls";
import { toError } from "../../../wire/errors.ts";
import type { CheckContext } from "../context.ts";
import { judgeCertificate } from "./certificate.ts";
import { judgeClock } from "./clock.ts";
import { get, handshake, openPort } from "./exchange.ts";
import type { HttpSeen, TlsSeen } from "./exchange.ts";
import { isTimeout } from "../in-time.ts";

export interface PortSeen {
  /** Whether the token may be sent. */
  isUsable: boolean;
  /** Undefined where no HTTP response has come. */
  http: HttpSeen | undefined;
}

const UNUSABLE: PortSeen = { isUsable: false, http: undefined };

const SILENT_REMEDY =
  "something accepts connections there and stays silent: check that the port in --server is the control plane's";

export async function checkPort(context: CheckContext): Promise<PortSeen> {
  try {
    const isTls = context.url.protocol === "https:" && context.socketPath === undefined;
    return await (isTls ? checkTls(context) : checkPlain(context));
  } catch (error) {
    context.findings.fail(
      "endpoint",
      "",
      toError(error).message,
      "try again: the connection was possible before",
    );
    return UNUSABLE;
  }
}

async function checkTls(context: CheckContext): Promise<PortSeen> {
  const { findings, url } = context;
  const shaken = await handshake(context, await openPort(context));
  if ("error" in shaken) {
    await explainNoTls(context, shaken.error);
    findings.skip("endpoint", "", "no TLS connection");
    findings.skip("clock", "", "no TLS connection");
    return UNUSABLE;
  }
  const { socket, ...seen }: TlsSeen & { socket: TLSSocket } = shaken.seen;
  const response = await get(context, socket);
  const http = "seen" in response ? response.seen : undefined;
  const isUsable = judgeCertificate(context, seen, http);
  judgeClock(context, http);
  if ("error" in response) explainNoHttp(context, response.error, url);
  return { isUsable: isUsable && http !== undefined, http };
}

/** The handshake has failed before there was a certificate: perhaps it is no TLS. */
async function explainNoTls(context: CheckContext, error: unknown): Promise<void> {
  const { findings, url } = context;
  const plain = await get(context, await openPort(context));
  if ("seen" in plain) {
    const remedy = `use http://${url.host} in --server (the token is then sent in clear text), or give the control plane a certificate`;
    findings.fail("tls", "", "the port speaks plain HTTP, and not TLS", remedy);
  } else if (isTimeout(error))
    findings.fail("tls", "", "the port accepts connections and sends nothing", SILENT_REMEDY);
  else {
    const remedy = "check that the port in --server is the control plane's, and what ends TLS in front of it";
    findings.fail("tls", "", toError(error).message, remedy);
  }
}

async function checkPlain(context: CheckContext): Promise<PortSeen> {
  const { findings, socketPath, url } = context;
  const response = await get(context, await openPort(context));
  const http = "seen" in response ? response.seen : undefined;
  // nginx responds with 400 to plain HTTP on a TLS port, others with an alert, or not at all.
  const mayBeTls = socketPath === undefined && (http === undefined || http.status === 400);
  if (mayBeTls && (await speaksTls(context))) {
    findings.fail(
      "tls",
      "",
      "the port speaks TLS, and not plain HTTP",
      `use https://${url.host} in --server`,
    );
    findings.skip("endpoint", "", "no plain HTTP on this port");
    findings.skip("clock", "", "no plain HTTP on this port");
    return UNUSABLE;
  }
  if (socketPath !== undefined || isLoopback(url.hostname)) {
    findings.skip("tls", "", "not used: nothing leaves this machine");
  } else {
    const remedy = "use https:// in --server, unless the network is your own";
    findings.warn("tls", "", "not used: the token is sent in clear text", remedy);
  }
  judgeClock(context, http);
  if ("error" in response) explainNoHttp(context, response.error, url);
  return { isUsable: http !== undefined, http };
}

async function speaksTls(context: CheckContext): Promise<boolean> {
  const shaken = await handshake(context, await openPort(context));
  if ("error" in shaken) return false;
  shaken.seen.socket.destroy();
  return true;
}

function explainNoHttp({ findings }: CheckContext, error: unknown, url: URL): void {
  if (isTimeout(error)) {
    findings.fail("endpoint", "", "the port accepts connections and sends nothing", SILENT_REMEDY);
    return;
  }
  const remedy = `check that ${url.host} is the control plane, or a proxy in front of it that speaks HTTP/1.1`;
  findings.fail("endpoint", "", toError(error).message, remedy);
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
}
