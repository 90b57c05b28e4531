/**
 * One connection to another node, as this one has dialled it: an upgrade in which both prove that they know the cluster secret, then
 * HTTP/2 with this node in the client role. Each stream carries the signed field.
 */
import http from "node:http";
import type { IncomingMessage } from "node:http";
import { sensitiveHeaders } from "node:http2";
import type { OutgoingHttpHeaders } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Http2Tunnel } from "../../control/cluster/cluster.ts";
import type { StreamCause } from "../../control/cluster/cluster.ts";
import { isErrorCode } from "../../wire/error-table.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { codeFromStatus } from "../../wire/failure-codes.ts";
import { parseProxyStatus } from "../../wire/fields/proxy-status.ts";
import {
  AGENT_AUTHORITY,
  CAPABILITY,
  HEADER,
  PEER_ENDPOINT_PATH,
  PEER_UPGRADE_TOKEN,
} from "../../wire/protocol.ts";
import { receivedBytes } from "../../wire/session/carrier.ts";
import { describeDeath, keepAlive } from "../../wire/session/keepalive.ts";
import type { KeepaliveOptions } from "../../wire/session/keepalive.ts";
import { destroyHttp2Session, openReversed } from "../../wire/session/reversed-session.ts";
import { resetStream } from "../../wire/streams/end-stream.ts";
import { onResponse } from "../../wire/streams/response.ts";
import { connectToNode } from "./connect.ts";
import { finishHandshake, requestHandshake } from "./handshake.ts";
import type { ClusterKeys, MacKey } from "./keys.ts";
import { PEER_HANDSHAKE_TIMEOUT_MS } from "./limits.ts";
import { RequestSigner } from "./signed-requests.ts";

export interface PeerConnectionOptions {
  /** Ids of this node and of the other one. */
  from: string;
  to: string;
  url: string;
  keys: ClusterKeys;
  /** PEM of a private CA. Default: the system's. */
  ca: string | undefined;
  keepalive: KeepaliveOptions;
  signal: AbortSignal;
}

/** The other node does this for the streams that are opened there, whatever the agent can. */
const CAPABILITIES = [
  CAPABILITY.websocket,
  CAPABILITY.targetHost,
  CAPABILITY.proxyStatus,
  CAPABILITY.requestId,
];

/** The path of the first request on a connection: it proves that this node has the key. */
const PROOF_PATH = "/proof";

/** @throws TurnaboutError `carrier_failed`, or the other node's refusal */
export async function openPeerConnection(options: PeerConnectionOptions): Promise<Http2Tunnel> {
  const { url, ca, signal, keepalive } = options;
  const socket = await connectToNode(url, ca, signal);
  try {
    const key = await upgrade(socket, options);
    const signer = new RequestSigner(key);
    const http2Session = await openReversed(socket, { signal });
    const liveness = keepAlive(
      http2Session,
      receivedBytes(socket),
      (death) => {
        const what = `the connection to node ${options.to} was lost: ${describeDeath(death)}`;
        destroyHttp2Session(http2Session, socket, new TurnaboutError("tunnel_lost", what));
      },
      keepalive,
    );
    const addFields = (
      headers: OutgoingHttpHeaders,
      cause: StreamCause | undefined,
    ): OutgoingHttpHeaders => ({
      ...headers,
      [HEADER.peer]: signer.sign(headers, cause),
      // Each is another one: it has no use in the tables of HPACK.
      [sensitiveHeaders]: [HEADER.peer],
    });
    const carrier = { kind: "ptth" as const, stream: socket, remoteAddress: new URL(url).host };
    const tunnel = new Http2Tunnel({
      carrier,
      http2Session,
      liveness,
      capabilities: CAPABILITIES,
      addFields,
    });
    await prove(tunnel, options);
    return tunnel;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** @returns the connection's key */
async function upgrade(socket: Socket, options: PeerConnectionOptions): Promise<MacKey> {
  const { keys, from, to, url } = options;
  const { promise, resolve, reject } = Promise.withResolvers<MacKey>();
  const handshake = requestHandshake(keys, from, to);
  const { host, pathname } = new URL(url);
  const request = http.request({
    createConnection: () => socket,
    method: "GET",
    path: `${pathname.replace(/\/+$/, "")}${PEER_ENDPOINT_PATH}`,
    headers: {
      host,
      connection: "Upgrade",
      upgrade: PEER_UPGRADE_TOKEN,
      [HEADER.peer]: handshake.value,
    },
  });
  const fail = (cause: Error): void => {
    request.destroy();
    if (cause instanceof TurnaboutError) return reject(cause);
    reject(new TurnaboutError("carrier_failed", `node ${to} at ${host}: ${cause.message}`, { cause }));
  };
  const timer = setTimeout(
    () => fail(new Error(`no response within ${PEER_HANDSHAKE_TIMEOUT_MS} ms`)),
    PEER_HANDSHAKE_TIMEOUT_MS,
  );
  const onAbort = (): void => fail(new Error("closed"));
  options.signal.addEventListener("abort", onAbort, { once: true });
  request.on("error", fail);
  request.once("response", (response) => fail(refusalOf(response, to)));
  request.once("upgrade", (response: IncomingMessage, upgraded: Duplex, head: Buffer) => {
    try {
      const key = finishHandshake(keys, handshake, response.headers[HEADER.peer]);
      if (head.length > 0) upgraded.unshift(head);
      resolve(key);
    } catch (error) {
      fail(error as Error);
    }
  });
  request.end();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener("abort", onAbort);
  }
}

function refusalOf({ statusCode = 0, headers }: IncomingMessage, to: string): TurnaboutError {
  const code = parseProxyStatus(headers["proxy-status"]) ?? codeFromStatus(statusCode);
  const known = isErrorCode(code) ? code : "carrier_failed";
  return new TurnaboutError(known, `node ${to} has refused the connection with ${statusCode} (${known})`);
}

/** Until the other node has a signed request it drops the connection soon. */
async function prove(tunnel: Http2Tunnel, { to }: PeerConnectionOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stream = tunnel.request(
    { ":method": "GET", ":scheme": "http", ":authority": AGENT_AUTHORITY, ":path": PROOF_PATH },
    () => {},
  );
  const fail = (what: string): void => reject(new TurnaboutError("carrier_failed", `node ${to}: ${what}`));
  const timer = setTimeout(() => fail("no response to the proof"), PEER_HANDSHAKE_TIMEOUT_MS);
  onResponse(stream, {
    response: (headers) => {
      if (headers[":status"] === 204) resolve();
      else fail(`the proof was refused with ${headers[":status"]}`);
    },
    lost: () => fail("the connection was closed before the proof"),
  });
  stream.resume();
  try {
    await promise;
  } catch (error) {
    resetStream(stream, error as Error);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
