/** The way to the control plane's port: its name, each of its addresses, or an outbound proxy. */
import net from "node:net";
import type { Duplex } from "node:stream";
import { joinReasons, toError } from "../../../wire/errors.ts";
import { withZone } from "../../../wire/fields/url-zone.ts";
import { systemErrorHint } from "../../../wire/system/system-errors.ts";
import { connectTcp, connectUnix } from "../../transport/tcp.ts";
import { proxyFor } from "../../transport/proxy-from-env.ts";
import type { ProxyAddress } from "../../transport/proxy-from-env.ts";
import { hostAndPort } from "../../transport/server-url.ts";
import { openRaw } from "../../transport/transport.ts";
import type { CheckContext } from "../context.ts";
import { inTime, isTimeout } from "../in-time.ts";
import {
  CHECK_CONNECT_TIMEOUT_MS,
  CHECK_NAME_TIMEOUT_MS,
  CHECK_PROXY_TIMEOUT_MS,
  MAX_CHECKED_ADDRESSES,
} from "../limits.ts";
import { errnoOf, explainConnect, explainProxy } from "./remedies.ts";

/** A family of addresses that this machine does not have. */
const NO_FAMILY: ReadonlySet<string> = new Set(["ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT"]);

/** @returns whether a connection to the control plane's port can be made */
export async function checkReach(context: CheckContext): Promise<boolean> {
  const { findings, socketPath, url } = context;
  if (socketPath !== undefined) {
    findings.skip("name", "", "a Unix socket has none");
    findings.skip("proxy", "", "not used for a Unix socket");
    return checkAddress(context, `unix:${socketPath}`, (signal) => connectUnix(socketPath, signal));
  }
  let proxy: ProxyAddress | undefined;
  try {
    proxy = proxyFor(url);
  } catch (error) {
    findings.fail("proxy", "", toError(error).message, "correct the variable, or unset it");
    return false;
  }
  if (proxy !== undefined) return checkProxy(context, proxy);
  findings.skip("proxy", "", "none is set for this server");
  const { host, port } = hostAndPort(url);
  const addresses = await resolve(context, withZone(host, context.zone));
  return checkAddresses(context, addresses, port);
}

async function resolve(
  { findings, lookup, maxStepMs, signal }: CheckContext,
  host: string,
): Promise<string[]> {
  if (net.isIP(host) !== 0) {
    findings.skip("name", host, "it is an address");
    return [host];
  }
  const startedMs = performance.now();
  try {
    const step = { label: `name ${host}`, timeoutMs: Math.min(CHECK_NAME_TIMEOUT_MS, maxStepMs), signal };
    const found = await inTime(step, () => lookup(host));
    const addresses = [...new Set(found.map(({ address }) => address))];
    findings.ok("name", host, addresses.join(", "), performance.now() - startedMs);
    return addresses;
  } catch (error) {
    const remedy = isTimeout(error)
      ? "no name server responds: check this machine's DNS (/etc/resolv.conf) and its network"
      : (systemErrorHint(error) ?? "check the name in --server");
    findings.fail("name", host, toError(error).message, remedy);
    return [];
  }
}

async function checkAddresses(
  context: CheckContext,
  addresses: readonly string[],
  port: number,
): Promise<boolean> {
  const { findings } = context;
  if (addresses.length === 0) {
    findings.skip("tcp", "", "no address is known");
    return false;
  }
  const tried = addresses.slice(0, MAX_CHECKED_ADDRESSES);
  const results = await Promise.all(
    tried.map((address) => connectTo(address, context, (signal) => connectTcp(address, port, signal))),
  );
  const isReached = results.some(({ error }) => error === undefined);
  for (const { label, error, ms } of results) {
    const at = `${label.includes(":") ? `[${label}]` : label}:${port}`;
    if (error === undefined) findings.ok("tcp", at, "connected", ms);
    else if (!isReached) findings.fail("tcp", at, reasonOf(error), explainConnect(error));
    else if (NO_FAMILY.has(errnoOf(error) ?? ""))
      findings.skip("tcp", at, joinReasons([reasonOf(error), "another address works"]));
    else
      findings.warn(
        "tcp",
        at,
        joinReasons([reasonOf(error), "another address works"]),
        explainConnect(error),
      );
  }
  return isReached;
}

async function checkAddress(
  context: CheckContext,
  label: string,
  connect: (signal: AbortSignal) => Promise<Duplex>,
): Promise<boolean> {
  const { findings } = context;
  const { error, ms } = await connectTo(label, context, connect);
  if (error === undefined) findings.ok("tcp", label, "connected", ms);
  else findings.fail("tcp", label, reasonOf(error), explainConnect(error));
  return error === undefined;
}

interface Connected {
  label: string;
  error: unknown;
  ms: number;
}

async function connectTo(
  label: string,
  { maxStepMs, signal }: CheckContext,
  connect: (signal: AbortSignal) => Promise<Duplex>,
): Promise<Connected> {
  const startedMs = performance.now();
  try {
    const timeoutMs = Math.min(CHECK_CONNECT_TIMEOUT_MS, maxStepMs);
    const step = { label: `connect to ${label}`, timeoutMs, signal };
    const socket = await inTime(step, connect);
    socket.destroy();
    return { label, error: undefined, ms: performance.now() - startedMs };
  } catch (error) {
    return { label, error, ms: performance.now() - startedMs };
  }
}

async function checkProxy(context: CheckContext, proxy: ProxyAddress): Promise<boolean> {
  const { findings, maxStepMs, options, signal, socketPath, url, zone } = context;
  const subject = `${proxy.scheme}://${proxy.label}`;
  findings.addSecret(proxy.password);
  findings.skip("name", hostAndPort(url).host, "resolved by the proxy");
  findings.skip("tcp", "", "the proxy connects");
  const startedMs = performance.now();
  try {
    const timeoutMs = Math.min(CHECK_PROXY_TIMEOUT_MS, maxStepMs);
    const step = { label: `proxy ${proxy.label}`, timeoutMs, signal };
    const socket = await inTime(step, (limit) =>
      openRaw({ url, zone, socketPath, tls: options, signal: limit }),
    );
    socket.destroy();
    findings.ok("proxy", subject, `connected to ${url.host}`, performance.now() - startedMs);
    return true;
  } catch (error) {
    findings.fail("proxy", subject, reasonOf(error), explainProxy(error, proxy, url));
    return false;
  }
}

/** Without the step, which the table's columns have. */
function reasonOf(error: unknown): string {
  return toError(error).message.replace(/^(?:connect to|outbound proxy) \S+: /, "");
}
