import { getRequestListener } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, describe, it } from "node:test";
import { assertNothingOpen } from "../../../../test/support/nothing-open.ts";
import { ending, eventually, next } from "../../../../test/support/events.ts";
import { Access } from "../../auth/access.ts";
import { createIdentity } from "../../auth/identity.ts";
import { EventBus } from "../../event-bus.ts";
import { InFlight } from "../../in-flight/in-flight.ts";
import { createFairShares } from "../../shares/fair-shares.ts";
import { ActiveStreams } from "../../auth/active-streams.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { EventStream } from "./event-stream.ts";
import { eventRoutes } from "./events.ts";

afterEach(() => assertNothingOpen());

const admin = createIdentity("admin", "hash", { kind: "admin", runners: ["*"] });

interface Stand extends AsyncDisposable {
  bus: EventBus;
  activeStreams: ActiveStreams;
  url: string;
}

async function start(kind: "HTTP/1.1" | "HTTP/2"): Promise<Stand> {
  const [access, activeStreams, bus] = [new Access(), new ActiveStreams(), new EventBus()];
  const app = new OpenAPIHono<AppEnv>();
  app.use(async (c, next) => {
    c.set("identity", admin);
    await next();
  });
  const shares = createFairShares({}, { onRefused: () => {}, onStop: () => {} });
  app.route(
    "/",
    eventRoutes({ access, activeStreams, bus, inFlight: new InFlight(), shares } as unknown as AppContext),
  );
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const sessions = new Set<http2.Http2Session>();
  const server =
    kind === "HTTP/1.1"
      ? http.createServer((request, response) => void listener(request, response))
      : http2.createServer((request, response) => void listener(request, response));
  server.on("session", (session: http2.Http2Session) => sessions.add(session));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  return {
    bus,
    activeStreams,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      const closed = next(server, "close");
      server.close();
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
}

/** Publishes events of 100 kB until the reader is cut off. @returns how many */
function flood({ bus, activeStreams }: Stand): Promise<number> {
  let sent = 0;
  return eventually(() => {
    if (activeStreams.size === 0) return true;
    sent += 1;
    bus.publish({ type: "lost", runner: "x".repeat(100_000) });
    return false;
  }, "the slow reader to be cut off").then(() => sent);
}

it("a stream of events that is ended many times has one listener for its end", async () => {
  const ended = Promise.withResolvers<void>();
  const server = http.createServer((_request, response) => {
    const stream = new EventStream(response);
    stream.start(() => ended.resolve());
    stream.end();
    const listeners = response.listenerCount("close");
    for (let n = 0; n < 20; n += 1) stream.end();
    assert.equal(response.listenerCount("close"), listeners);
  });
  await next(server.listen(0, "127.0.0.1"), "listening");
  const request = http.get({ port: (server.address() as AddressInfo).port, agent: false });
  const [response] = await next<[http.IncomingMessage]>(request, "response");
  assert.equal((await ending(response)).kind, "end");
  await ended.promise;
  const closed = next(server, "close");
  server.close();
  await closed;
});

describe("a reader of events that does not read", () => {
  it("is cut off on HTTP/1.1 when a bounded amount waits for it", async () => {
    await using stand = await start("HTTP/1.1");
    const request = http.get(stand.url, { agent: false });
    const [response] = await next<[http.IncomingMessage]>(request, "response");
    response.pause();
    const before = process.memoryUsage().rss;
    const sent = await flood(stand);
    assert.ok(sent > 2, `${sent} events fit`);
    assert.ok(process.memoryUsage().rss - before < 100 * 1024 * 1024);
    assert.equal((await ending(response)).kind, "error", "the reader can tell that events are missing");
  });

  it("is cut off on HTTP/2 too", async () => {
    await using stand = await start("HTTP/2");
    const session = http2.connect(stand.url);
    const stream = session.request({ ":path": "/" });
    await next(stream, "response");
    stream.pause();
    const sent = await flood(stand);
    assert.ok(sent > 2 && sent < 20, `${sent} events fit`);
    assert.equal((await ending(stream)).kind, "error");
    session.close();
    await next(session, "close");
  });

  it("can still be ended by the control plane", async () => {
    await using stand = await start("HTTP/2");
    const session = http2.connect(stand.url);
    const stream = session.request({ ":path": "/" });
    stream.on("error", () => {}); // permanently
    await next(stream, "response");
    stream.pause();
    stand.bus.publish({ type: "lost", runner: "x".repeat(200_000) });
    stand.activeStreams.closeRevoked(() => false);
    await eventually(() => stand.activeStreams.size === 0, "its end");
    assert.equal((await ending(stream)).kind, "error");
    session.close();
    await next(session, "close");
  });
});
