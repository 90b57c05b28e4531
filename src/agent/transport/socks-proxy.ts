/**
 * Connects through a SOCKS proxy. With `socks5`, `socks5h` and `socks4a` the proxy resolves the name, as in Go, because such
 * networks often have no DNS. `socks4` only accepts addresses, so the name is resolved here.
 */
import { lookup } from "node:dns/promises";
import net from "node:net";
import { setImmediate } from "node:timers/promises";
import { SocksClient } from "socks";
import { toError } from "../../wire/errors.ts";
import { MAX_SOCKS_TEXT_BYTES } from "../limits.ts";
import type { ProxyAddress } from "./proxy-from-env.ts";
import { connectTcp } from "./tcp.ts";

export interface SocksDestination {
  host: string;
  port: number;
}

/** @throws Error with the step that failed, without the credential */
export async function connectThroughSocks(
  proxy: ProxyAddress,
  to: SocksDestination,
  signal: AbortSignal,
): Promise<net.Socket> {
  const host = proxy.scheme === "socks4" ? await resolveIPv4(to.host) : to.host;
  const isVersion4 = proxy.scheme.startsWith("socks4");
  if (isVersion4 && net.isIPv6(host))
    throw new Error("SOCKS4 does not support IPv6 addresses: use socks5://");
  // The library would throw in a 'data' listener.
  for (const text of [host, proxy.username, proxy.password]) {
    if (Buffer.byteLength(text) > MAX_SOCKS_TEXT_BYTES || text.includes("\0")) {
      throw new Error(`SOCKS allows names and passwords of at most ${MAX_SOCKS_TEXT_BYTES} bytes`);
    }
  }
  const socket = await connectTcp(proxy.host, proxy.port, signal);
  const onAbort = () => socket.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  const credential = proxy.username !== "" && { userId: proxy.username, password: proxy.password };
  const reason = await SocksClient.createConnection({
    command: "connect",
    existing_socket: socket,
    destination: { host, port: to.port },
    proxy: { host: proxy.host, port: proxy.port, type: isVersion4 ? 4 : 5, ...credential },
  }).then(
    () => undefined,
    // Only the message: the library's error object contains the password.
    (error: unknown) => toError(error).message,
  );
  signal.removeEventListener("abort", onAbort);
  if (reason === undefined) return keepEarlyBytes(socket);
  socket.destroy();
  throw new Error(signal.aborted ? "timed out" : `SOCKS: ${reason}`);
}

/** Keeps bytes that came with the proxy's reply: the library emits them one turn of the event loop later, and lets the socket flow. */
async function keepEarlyBytes(socket: net.Socket): Promise<net.Socket> {
  const early: Buffer[] = [];
  const keep = (chunk: Buffer) => early.push(chunk);
  socket.on("data", keep);
  await setImmediate();
  socket.off("data", keep);
  if (early.length > 0) socket.unshift(Buffer.concat(early));
  // Makes it neither flowing nor paused, as a new socket: only then does the next 'data' listener start it.
  const none = () => {};
  socket.on("readable", none);
  socket.off("readable", none);
  await setImmediate();
  return socket;
}

async function resolveIPv4(host: string): Promise<string> {
  return net.isIP(host) === 0 ? (await lookup(host, { family: 4 })).address : host;
}
