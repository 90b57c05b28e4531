/** A WebSocket's two ends, on one connection of this machine. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { TestContext } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import type { ClientOptions } from "ws";

export interface WebSocketPair {
  /** The server's end, and the connection below it. */
  webSocket: WebSocket;
  socket: Socket;
  client: WebSocket;
}

/** Both are closed with the test. */
export async function webSocketPair(t: TestContext, options: ClientOptions = {}): Promise<WebSocketPair> {
  const server = createServer();
  const webSockets = new WebSocketServer({ server });
  t.after(() => {
    webSockets.close();
    server.close();
    client.terminate();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, options);
  const [[webSocket, { socket }]] = (await Promise.all([
    once(webSockets, "connection"),
    once(client, "open"),
  ])) as [[WebSocket, { socket: Socket }], unknown];
  return { webSocket, socket, client };
}
