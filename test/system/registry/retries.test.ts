/** Automatic retries: of requests that the agent has provably not processed, and of safe ones whose agent has died. */
import assert from "node:assert/strict";
import { constants } from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import { afterEach, describe, it } from "node:test";
import { DIAL_ATTEMPTS } from "../../../src/control/limits.ts";
import { EventLog } from "../../support/event-log.ts";
import { eventually } from "../../support/events.ts";
import { call, errorCode, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startScriptedAgent } from "../../support/scripted-agent.ts";
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

/** Refuses the first `refusals` streams to its target, and serves the others. */
async function refusingAgent(
  { controlPlane }: System,
  refusals: number,
  refuse: (stream: ServerHttp2Stream) => void,
): Promise<RawAgent> {
  const agent = { seen: 0 };
  const scripted = await startScriptedAgent(controlPlane, {
    capabilities: ["websocket", "proxy-status"],
    runner: "raw",
    target: "t",
    onStream: (stream, headers) => {
      agent.seen += 1;
      if (agent.seen <= refusals) return refuse(stream);
      stream.respond({ ":status": 200 });
      if (headers[":protocol"] === "websocket") return;
      stream.once("data", () => stream.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright"));
    },
  });
  return Object.assign(agent, { [Symbol.asyncDispose]: () => scripted[Symbol.asyncDispose]() });
}

for (const [name, refuse] of Object.entries(REFUSALS)) {
  describe(`a stream that the agent has not processed: ${name}`, () => {
    it("is retried: GET, WebSocket and dial", async () => {
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

    it("fails after a bounded number of attempts", async () => {
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
    it(`${status === 200 ? "is retried once if another connection exists" : "is not retried"}: ${method}`, async () => {
      const requests = new EventLog<string>();
      await using target = await startHttpTarget((request, response) => {
        requests.push(request.method ?? "");
        if (requests.length > 1) response.end("served");
      });
      await using system = await startSystem({ target, agent: { connections: 2 } });
      const connections = () => system.controlPlane.runners()[0]?.connections ?? [];
      await eventually(() => connections().length === 2, "both connections");
      const response = call(targetUrl(system.url, RUNNER, "echo"), { method });
      await requests.find(() => true, "the request");
      connections()
        .toSorted((a, b) => b.openStreams - a.openStreams)[0]
        ?.destroy("killed by the test");
      const { status: got, body } = await response;
      assert.equal(got, status);
      if (status === 502) assert.match(body, /tunnel_lost/);
      assert.equal(requests.length, times);
    });
  }

  it("is retried only once", async () => {
    const requests = new EventLog<string>();
    await using target = await startHttpTarget((request) => requests.push(request.method ?? ""));
    await using system = await startSystem({ target, agent: { connections: 3 } });
    const connections = () => system.controlPlane.runners()[0]?.connections ?? [];
    await eventually(() => connections().length === 3, "three connections");
    const response = call(targetUrl(system.url, RUNNER, "echo"));
    for (let n = 1; n <= 2; n += 1) {
      await requests.findNth(n, () => true, "the request");
      connections()
        .toSorted((a, b) => b.openStreams - a.openStreams)[0]
        ?.destroy("killed by the test");
    }
    assert.deepEqual([(await response).status, errorCode(await response)], [502, "tunnel_lost"]);
    assert.equal(requests.length, 2);
  });
});
