/** What is tried again by itself: requests that the agent has provably not looked at, and safe ones whose agent has died. */
import assert from "node:assert/strict";
import http from "node:http";
import { constants } from "node:http2";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { DIAL_ATTEMPTS } from "../../../src/control/limits.ts";
import { endSession } from "../../../src/wire/streams/end-stream.ts";
import { serveReversed } from "../../../src/wire/session/reversed-session.ts";
import { EventLog } from "../../support/event-log.ts";
import { eventually, next } from "../../support/events.ts";
import { call, errorCode, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import { openWebSocket, refusedWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

const REFUSALS: Record<string, (stream: ServerHttp2Stream) => void> = {
  "RST_STREAM(REFUSED_STREAM)": (stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM),
  "503 agent_draining": (stream) => {
    const status = 'turnabout; error=destination_unavailable; details="agent_draining"';
    stream.respond({ ":status": 503, "proxy-status": status }, { endStream: true });
  },
};

interface RawAgent extends AsyncDisposable {
  /** Streams to targets that it has seen. */
  seen: number;
}

/** Refuses the first streams to its target, and serves those that follow. */
async function refusingAgent(
  { url, controlPlane }: System,
  most: number,
  refuse: (stream: ServerHttp2Stream) => void,
): Promise<RawAgent> {
  const agent = { seen: 0 };
  const request = http.request(`${url}/api/v1/revdial?runnerid=raw`, {
    headers: { connection: "Upgrade", upgrade: "ptth", authorization: `Bearer ${ADMIN_TOKEN}` },
  });
  request.end();
  const [, socket, head] = await next<[unknown, Socket, Buffer]>(request, "upgrade");
  if (head.length > 0) socket.unshift(head);
  const hello = {
    protocol: 1,
    version: "0",
    instance: "raw",
    capabilities: ["websocket", "proxy-status"],
    runners: [{ id: "raw", targets: [{ name: "t" }] }],
  };
  const accept = (session: ServerHttp2Session): void => {
    session.on("stream", (stream, headers) => {
      stream.on("error", () => {});
      if (headers[":path"] === "/hello") {
        stream.respond({ ":status": 200 });
        return void stream.end(JSON.stringify(hello));
      }
      agent.seen += 1;
      if (agent.seen <= most) return refuse(stream);
      stream.respond({ ":status": 200 });
      if (headers[":protocol"] === "websocket") return;
      stream.once("data", () => stream.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright"));
    });
  };
  const session = await serveReversed(socket, accept);
  const stateOf = () => controlPlane.runners().find(({ id }) => id === "raw")?.state;
  await eventually(() => stateOf() === "connected", "its registration");
  return Object.assign(agent, {
    [Symbol.asyncDispose]: async () => {
      const closed = Promise.withResolvers<void>();
      socket.once("close", () => closed.resolve());
      endSession(session, new Error("the test is over"));
      socket.destroy();
      await closed.promise;
      await eventually(() => stateOf() !== "connected", "its loss");
    },
  });
}

for (const [name, refuse] of Object.entries(REFUSALS)) {
  describe(`a stream that the agent has not looked at: ${name}`, () => {
    it("is opened again: GET, WebSocket and dial", async () => {
      await using system = await startSystem({ agents: 0 });
      for (const kind of ["GET", "WebSocket on HTTP/1.1", "WebSocket on HTTP/2", "dial"] as const) {
        await using agent = await refusingAgent(system, DIAL_ATTEMPTS - 1, refuse);
        const url = targetUrl(system.url, "raw", "t");
        if (kind === "GET") assert.equal((await call(url)).body, "right");
        else if (kind === "dial") {
          const socket = await system.controlPlane.dial("raw", "t");
          socket.on("error", () => {});
          socket.destroy();
        } else {
          const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
          const caller = kind === "WebSocket on HTTP/1.1" ? "HTTP/1.1" : "HTTP/2 by prior knowledge";
          await using socket = await openWebSocket(caller, system, new URL(url).pathname, { headers });
          assert.ok(socket);
        }
        assert.equal(agent.seen, DIAL_ATTEMPTS, kind);
      }
    });

    it("is given up after a bounded number of attempts", async () => {
      await using system = await startSystem({ agents: 0 });
      await using agent = await refusingAgent(system, 100, refuse);
      const path = new URL(targetUrl(system.url, "raw", "t")).pathname;
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
      const refusal = await refusedWebSocket("HTTP/1.1", system, path, { headers });
      assert.equal(refusal.status, 503);
      assert.equal(agent.seen, DIAL_ATTEMPTS);
    });
  });
}

describe("a request whose agent dies before the caller has a byte", () => {
  for (const [method, status, times] of [
    ["GET", 200, 2],
    ["HEAD", 200, 2],
    ["OPTIONS", 200, 2],
    ["POST", 502, 1],
    ["DELETE", 502, 1],
  ] as const) {
    it(`${status === 200 ? "is tried again once where another connection exists" : "is not tried again"}: ${method}`, async () => {
      const asked = new EventLog<string>();
      await using target = await startHttpTarget((request, response) => {
        asked.push(request.method ?? "");
        if (asked.length > 1) response.end("answered");
      });
      await using system = await startSystem({ target, agent: { connections: 2 } });
      const connections = () => system.controlPlane.runners()[0]?.connections ?? [];
      await eventually(() => connections().length === 2, "both connections");
      const answer = call(targetUrl(system.url, RUNNER, "echo"), { method });
      await asked.find(() => true, "the request");
      connections()
        .toSorted((a, b) => b.openStreams - a.openStreams)[0]
        ?.destroy("killed by the test");
      const { status: got, body } = await answer;
      assert.equal(got, status);
      if (status === 502) assert.match(body, /tunnel_lost/);
      assert.equal(asked.length, times);
    });
  }

  it("is tried again once only", async () => {
    const asked = new EventLog<string>();
    await using target = await startHttpTarget((request) => asked.push(request.method ?? ""));
    await using system = await startSystem({ target, agent: { connections: 3 } });
    const connections = () => system.controlPlane.runners()[0]?.connections ?? [];
    await eventually(() => connections().length === 3, "three connections");
    const answer = call(targetUrl(system.url, RUNNER, "echo"));
    for (let n = 1; n <= 2; n += 1) {
      await asked.findNth(n, () => true, "the request");
      connections()
        .toSorted((a, b) => b.openStreams - a.openStreams)[0]
        ?.destroy("killed by the test");
    }
    assert.deepEqual([(await answer).status, errorCode(await answer)], [502, "tunnel_lost"]);
    assert.equal(asked.length, 2);
  });
});
