/**
 * A local port for the user's browser has no login: so it serves requests of the user and of its own pages, and none that
 * another web page sends there, by its address or by a name of its own (DNS rebinding). The first request of a connection
 * decides: a browser keeps the connections of one page from another site's.
 */
import type { Socket } from "node:net";
import { HEADER_TIMEOUT_MS, MAX_HEADER_BYTES, REFUSAL_LINGER_MS } from "./limits.ts";

const HEADER_END = "\r\n\r\n";
const REFUSAL =
  "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 44\r\nConnection: close\r\n\r\nThis address is for `turnabout open` alone.\n";
const OWN_SITES: ReadonlySet<string> = new Set(["none", "same-origin"]);

/** @returns false for a connection that was refused, with a response */
export async function admitsOwnPages(socket: Socket, port: number): Promise<boolean> {
  const header = await readHeader(socket);
  if (header !== undefined && isOwn(header, port)) return true;
  socket.end(REFUSAL);
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
  return false;
}

function isOwn(header: string, port: number): boolean {
  const fields = new Map(
    header
      .split("\r\n")
      .slice(1)
      .map((line): [string, string] => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
  );
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  const origin = fields.get("origin");
  const site = fields.get("sec-fetch-site");
  return (
    hosts.includes(fields.get("host")?.toLowerCase() ?? "") &&
    (origin === undefined || hosts.some((host) => origin === `http://${host}`)) &&
    (site === undefined || OWN_SITES.has(site) || fields.get("sec-fetch-mode") === "navigate")
  );
}

/** Leaves the bytes where they are. Undefined if there is none. */
async function readHeader(socket: Socket): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const chunks: Buffer[] = [];
  let text = "";
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk);
    text += chunk.toString("latin1");
    if (text.includes(HEADER_END) || text.length > MAX_HEADER_BYTES) resolve();
  };
  const stop = (): void => resolve();
  const timer = setTimeout(stop, HEADER_TIMEOUT_MS);
  socket.on("data", onData);
  socket.once("end", stop);
  socket.once("close", stop);
  await promise;
  clearTimeout(timer);
  socket.off("data", onData);
  socket.off("end", stop);
  socket.off("close", stop);
  socket.pause();
  const end = text.indexOf(HEADER_END);
  if (end < 0 || socket.destroyed) return undefined;
  socket.unshift(Buffer.concat(chunks));
  return text.slice(0, end);
}
