/** `websocket`: the agent endpoint behind intermediaries that pass only RFC 6455. Slower: one more layer of frames, masked. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { WebSocket } from "ws";
import type { Carrier } from "../../wire/session/carrier.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import {
  MAX_WEBSOCKET_CHUNKS,
  MAX_WEBSOCKET_FRAGMENTS,
  MAX_WEBSOCKET_MESSAGE_BYTES,
} from "../../wire/limits.ts";
import { WEBSOCKET_SUBPROTOCOL } from "../../wire/protocol.ts";
import { webSocketStream } from "../../wire/session/websocket-carrier.ts";
import { limitInformational } from "../transport/informational.ts";
import { openTransport } from "../transport/transport.ts";
import type { CarrierOptions } from "./dial-carrier.ts";
import { refusalOf, upgradeRefused } from "./upgrade-refused.ts";

export async function dialWebSocket(options: CarrierOptions): Promise<Carrier> {
  const { token, signal } = options;
  const transport = await openTransport({ ...options, alpn: [] });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const url = new URL(options.url);
  url.protocol = "ws:"; // TLS, if any, is part of the transport
  const socket = new WebSocket(url, [WEBSOCKET_SUBPROTOCOL], {
    createConnection: (() => transport) as () => Socket,
    perMessageDeflate: false,
    followRedirects: false,
    finishRequest: (request) => {
      limitInformational(request);
      request.end();
    },
    maxPayload: MAX_WEBSOCKET_MESSAGE_BYTES,
    maxBufferedChunks: MAX_WEBSOCKET_CHUNKS,
    maxFragments: MAX_WEBSOCKET_FRAGMENTS,
    headers: {
      host: options.url.host,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...options.headers,
    },
  });
  const onAbort = () => socket.terminate();
  signal.addEventListener("abort", onAbort, { once: true });
  socket.on("error", (cause) => {
    const what = signal.aborted ? "no response to the upgrade in time" : cause.message;
    reject(new TurnaboutError("carrier_failed", `websocket: ${what}`, { cause }));
  });
  socket.on("unexpected-response", (_request: unknown, response: IncomingMessage) => {
    void upgradeRefused(refusalOf(response), "websocket").then(reject, reject);
  });
  // Bytes may follow the 101 in the same packet: the stream must listen before 'open' lets them through.
  const stream = webSocketStream(socket, transport);
  stream.on("error", () => {}); // permanently
  socket.once("open", () => resolve());
  try {
    await promise;
    return { kind: "websocket", stream, remoteAddress: (transport as Socket).remoteAddress };
  } catch (error) {
    stream.destroy();
    transport.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
