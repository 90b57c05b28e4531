import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import net from "node:net";
import { it } from "node:test";
import { ClientErrors } from "./client-errors.ts";
import { ResponseOrder } from "./response-order.ts";

it("a request that does not become complete is 408, behind the response that is under way", async () => {
  const order = new ResponseOrder();
  const errors = new ClientErrors(order);
  const timedOut = Promise.withResolvers<http.ServerResponse>();
  let response: http.ServerResponse | undefined;
  const server = http.createServer({
    headersTimeout: 60,
    connectionsCheckingInterval: 20,
    requestTimeout: 0,
  });
  server.on("request", (request, given) => {
    order.follow(request, given);
    response = given;
    given.writeHead(200, { "content-length": "4" });
    given.write("ab");
  });
  server.on("clientError", (error, socket) => {
    errors.handle(error, socket);
    if (response !== undefined) timedOut.resolve(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT");
  (await timedOut.promise).end("cd");
  await once(socket, "end");
  socket.destroy();
  server.close();
  assert.match(text, /\r\n\r\nabcdHTTP\/1\.1 408 Request Timeout\r\n/);
});
