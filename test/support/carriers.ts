/** Both ends of a carrier, over real sockets. */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { WebSocket, WebSocketServer } from "ws";
import { guardHttp2Session } from "../../src/wire/streams/end-stream.ts";
import { MAX_WEBSOCKET_MESSAGE_BYTES } from "../../src/wire/limits.ts";
import { REVERSED_ALPN, WEBSOCKET_SUBPROTOCOL } from "../../src/wire/protocol.ts";
import { StreamCarrier } from "../../src/wire/session/stream-carrier.ts";
import { webSocketStream } from "../../src/wire/session/websocket-carrier.ts";
import { closedAtTheEnd } from "./cleanup.ts";
import { within } from "./events.ts";
import { openFaultyPath } from "./faulty-path.ts";
import type { FaultyPath } from "./faulty-path.ts";
import { createPki, issueServer } from "./pki.ts";
import { tempPath } from "./temp.ts";

/** `unix` is the cheapest; `stream.duplexPair()` cannot carry HTTP/2. */
export const TEST_CARRIERS = ["unix", "tcp", "tls", "websocket", "h2"] as const;
export type TestCarrier = (typeof TEST_CARRIERS)[number];

export interface CarrierPair {
  /** The end that dialled. */
  agent: Duplex;
  /** The end that accepted. */
  control: Duplex;
  /** Between the two, if requested. */
  path: FaultyPath | undefined;
  close(): Promise<void>;
}

export interface CarrierOptions {
  /** Puts a {@link FaultyPath} between the ends; not with `unix`. */
  faulty?: boolean;
}

export async function openCarrier(
  kind: TestCarrier,
  { faulty = false }: CarrierOptions = {},
): Promise<CarrierPair> {
  const accepted = Promise.withResolvers<Duplex>();
  const server = listener(kind, accepted.resolve);
  const unixPath = tempPath();
  if (kind === "unix") server.listen(unixPath);
  else server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const ends: Duplex[] = [];
  let path: FaultyPath | undefined;
  const close = closedAtTheEnd(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    await path?.close();
    for (const end of ends) end.destroy();
    await closed;
  });
  path = faulty && kind !== "unix" ? await openFaultyPath((server.address() as AddressInfo).port) : undefined;
  const port = kind === "unix" ? 0 : (path?.port ?? (server.address() as AddressInfo).port);
  const [agent, control] = await within(
    Promise.all([dial(kind, port, unixPath), accepted.promise]),
    `a ${kind} carrier`,
  );
  ends.push(agent, control);
  for (const end of ends) end.on("error", () => {}); // permanent
  return { agent, control, path, close };
}

const pki = await createPki();
const certificate = await issueServer(pki);

function listener(kind: TestCarrier, accept: (stream: Duplex) => void): net.Server {
  if (kind === "tls") {
    return tls.createServer({ ...certificate, ALPNProtocols: [...REVERSED_ALPN] }, accept);
  }
  if (kind === "websocket") {
    const server = http.createServer();
    const sockets = new WebSocketServer({
      server,
      perMessageDeflate: false,
      maxPayload: MAX_WEBSOCKET_MESSAGE_BYTES,
      handleProtocols: () => WEBSOCKET_SUBPROTOCOL,
    });
    sockets.on("connection", (socket) => accept(webSocketStream(socket)));
    return server;
  }
  if (kind === "h2") {
    const server = http2.createServer({ settings: { enableConnectProtocol: true } });
    server.on("session", guardHttp2Session);
    server.on("stream", (stream: http2.ServerHttp2Stream) => {
      stream.respond({ ":status": 200 });
      const carrier = new StreamCarrier(stream);
      accept(carrier);
    });
    return server;
  }
  return net.createServer({ noDelay: true, allowHalfOpen: true }, accept);
}

async function dial(kind: TestCarrier, port: number, unixPath: string): Promise<Duplex> {
  if (kind === "websocket") {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, [WEBSOCKET_SUBPROTOCOL], {
      perMessageDeflate: false,
    });
    const stream = webSocketStream(socket);
    await once(socket, "open");
    return stream;
  }
  if (kind === "h2") {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    guardHttp2Session(session);
    session.on("error", () => {}); // permanently
    await once(session, "remoteSettings");
    const stream = session.request({ ":method": "CONNECT", ":protocol": "ptth", ":path": "/" });
    await once(stream, "response");
    const carrier = new StreamCarrier(stream);
    carrier.once("close", () => session.close());
    return carrier;
  }
  if (kind === "tls") {
    const socket = tls.connect({ port, host: "127.0.0.1", ca: pki.ca, ALPNProtocols: [...REVERSED_ALPN] });
    await once(socket, "secureConnect");
    return socket;
  }
  const socket =
    kind === "unix" ? net.connect(unixPath) : net.connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  return socket;
}
