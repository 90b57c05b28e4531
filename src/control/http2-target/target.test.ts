import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { it, mock } from "node:test";
import type { Dispatcher } from "undici";
import { HTTP2_TARGET_SETTINGS_TIMEOUT_MS } from "./limits.ts";
import type { TargetSocket } from "../tunnels/tunnel.ts";
import { Http2Target } from "./target.ts";

interface Finished {
  handler: Dispatcher.DispatchHandler;
  ended: Promise<void>;
}

function handler(): Finished {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return {
    ended: promise,
    handler: {
      onRequestStart: () => {},
      onResponseStart: () => {},
      onResponseData: () => {},
      onResponseEnd: () => resolve(),
      onResponseError: (_controller, error) => reject(error),
    },
  };
}

it("a stream is opened for the request that gets it, not for the one that came last", async () => {
  let sessions = 0;
  const server = http2.createServer();
  server.on("session", (session) => {
    sessions += 1;
    session.on("error", () => {});
  });
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => {});
    // The first connection has processed nothing.
    if (sessions === 1) {
      stream.session?.goaway(http2.constants.NGHTTP2_NO_ERROR, 0);
      return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    }
    stream.respond();
    stream.end("done");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const opened: unknown[] = [];
  const target = new Http2Target({
    label: "r t",
    openTunnel: (cause) => {
      opened.push(cause?.id);
      const socket = net.connect(port, "127.0.0.1");
      return Object.assign(socket, { heldBytes: 0, acceptedAt: 0 }) as unknown as TargetSocket;
    },
  });
  const [first, second] = [handler(), handler()];
  const send = (id: string, { handler: to }: Finished): void =>
    target.dispatch(
      { method: "GET", path: "/", headers: ["host", "x"], body: null, headersTimeout: 5_000, cause: { id } },
      to,
    );
  // The other request comes while the first one waits for another connection.
  const requeue = target.requeue.bind(target);
  target.requeue = (exchange) => {
    target.requeue = requeue;
    requeue(exchange);
    send("second", second);
  };
  send("first", first);
  try {
    await Promise.all([first.ended, second.ended]);
    assert.deepEqual(opened, ["first", "first"]);
  } finally {
    await target.destroy(new Error("the end"));
    server.close();
  }
});

it("a target that sends not a byte is silent, and one that sends no SETTINGS speaks something else", async () => {
  for (const [bytes, code] of [
    ["", "response_timeout"],
    ["220 mail.example\r\n", "target_protocol"],
  ] as const) {
    const server = net.createServer(
      (socket) =>
        void socket
          .resume()
          .on("error", () => {})
          .write(bytes),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const socket = net.connect(port, "127.0.0.1");
    await once(socket, "connect");
    mock.timers.enable({ apis: ["setTimeout"] });
    const target = new Http2Target({
      label: "r t",
      openTunnel: () => Object.assign(socket, { heldBytes: 0, acceptedAt: 0 }) as unknown as TargetSocket,
    });
    const request = handler();
    target.dispatch(
      { method: "GET", path: "/", headers: ["host", "x"], body: null, headersTimeout: 60_000 },
      request.handler,
    );
    if (bytes === "") mock.timers.tick(HTTP2_TARGET_SETTINGS_TIMEOUT_MS);
    try {
      await assert.rejects(request.ended, { code });
    } finally {
      mock.timers.reset();
      await target.destroy(new Error("the end"));
      socket.destroy();
      server.close();
    }
  }
});
