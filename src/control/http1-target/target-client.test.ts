import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { it } from "node:test";
import type { TargetSocket } from "../tunnels/tunnel.ts";
import { TargetClient } from "./target-client.ts";
import type { TargetHandler } from "./target-client.ts";

it("a stream never carries the id of a request that it is not opened for", async () => {
  const server = http.createServer((_request, response) => void response.end("done"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const opened: unknown[] = [];
  const client = new TargetClient(new URL("http://t.r"), { pipelining: 1 }, (cause) => {
    opened.push(cause?.id);
    const socket = net.connect(port, "127.0.0.1");
    return Object.assign(socket, { heldBytes: 0, acceptedAt: 0 }) as unknown as TargetSocket;
  });
  const send = async (id: string, isSingleUse: boolean): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const handler: TargetHandler = {
      onRequestStart: () => handler.connection?.expectResponse(handler),
      onResponseStart: () => {},
      onResponseData: () => {},
      onResponseEnd: () => resolve(),
      onResponseError: (_controller, error) => reject(error),
    };
    const headers = ["host", "x"];
    const options = { method: "GET", path: "/", headers, body: null, headersTimeout: 5_000 } as const;
    client.dispatch({ ...options, reset: isSingleUse, cause: { id } }, handler);
    return promise;
  };
  await send("alone", false);
  await send("on the same stream", true);
  await Promise.all([send("one of two", true), send("the other", true)]);
  await send("alone again", true);
  // Of the two that came at once it is not known which gets the stream that is opened next.
  assert.deepEqual(opened, ["alone", undefined, undefined, "alone again"]);
  await client.close();
  server.close();
});
