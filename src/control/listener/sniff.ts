/** Chooses the server for a new connection by its first bytes: TLS, HTTP/2 by prior knowledge, or HTTP/1.1. */
import type http from "node:http";
import type http2 from "node:http2";
import type net from "node:net";
import type tls from "node:tls";
import type { Logger } from "../../wire/log.ts";
import type { CallerConnections } from "../connections/caller-connections.ts";
import { parseProxyHeader } from "../trusted-proxies/proxy-protocol.ts";
import type { TrustedProxies } from "../trusted-proxies/trusted-proxies.ts";
import { http1Handover, readFirstBytes, unfinishedHttp1Handover } from "./first-bytes.ts";

export interface Servers {
  h1: http.Server;
  h2: http2.Http2Server;
  /** Undefined: the port has no certificate, and a TLS handshake is not HTTP. */
  secure: tls.Server | undefined;
}

export interface SniffContext {
  trustedProxies: TrustedProxies;
  connections: Pick<CallerConnections, "belongsTo">;
  log: Logger;
}

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const TLS_HANDSHAKE_RECORD = 0x16;

/** Reads the PROXY header, where a trusted proxy may send one, and hands the connection to one of the servers. */
export function sniff(
  socket: net.Socket,
  { h1, h2, secure }: Servers,
  { trustedProxies, connections, log }: SniffContext,
): void {
  let headerMode = trustedProxies.headerMode(socket);
  let headerBytes = 0;
  const toHttp1 = http1Handover(socket, h1);
  readFirstBytes(
    socket,
    (all) => {
      if (!readProxyHeader(all)) return undefined;
      const seen = all.subarray(headerBytes);
      if (seen.length === 0) return undefined;
      if (seen[0] === TLS_HANDSHAKE_RECORD && secure !== undefined) {
        // Until the handshake is over: a FIN within it means that the client has left, often because it does not trust us.
        socket.allowHalfOpen = false;
        return { bytes: seen, accept: () => void secure.emit("connection", socket) };
      }
      if (!beginsAsHttp2(seen)) return toHttp1(seen);
      if (seen.length < PREFACE.length) return undefined;
      socket.allowHalfOpen = false;
      return { bytes: seen, accept: () => void h2.emit("connection", socket) };
    },
    (all, reason) => {
      const seen = all.subarray(headerBytes);
      if (headerMode !== "off" || seen.length === 0 || beginsAsHttp2(seen)) return undefined;
      return unfinishedHttp1Handover(seen, reason, socket, h1);
    },
  );
  /** False while the PROXY header is incomplete, and where the connection is refused. */
  function readProxyHeader(seen: Buffer): boolean {
    if (headerMode === "off") return true;
    const found = parseProxyHeader(seen);
    if (found.kind === "incomplete") return false;
    if (found.kind === "invalid" || (found.kind === "none" && headerMode === "require")) {
      const reason =
        found.kind === "invalid" ? found.reason : "the connection does not begin with a PROXY header";
      log.warn({ peer: socket.remoteAddress, reason }, "PROXY header of a trusted proxy refused");
      socket.destroy();
      return false;
    }
    headerMode = "off";
    if (found.kind === "none") return true;
    trustedProxies.setHeader(socket, found.header);
    if (found.header.address !== undefined) connections.belongsTo(socket, found.header.address);
    headerBytes = found.length;
    return true;
  }
}

/** The bytes are the HTTP/2 preface, as far as they go. */
function beginsAsHttp2(seen: Buffer): boolean {
  const length = Math.min(seen.length, PREFACE.length);
  return seen.subarray(0, length).equals(PREFACE.subarray(0, length));
}
