/** A control plane that is closed while its successor listens on the same socket: nobody notices. */
import assert from "node:assert/strict";
import net from "node:net";
import { afterEach, describe, it } from "node:test";
import { followAgent } from "../../support/agents.ts";
import { openCaller, via } from "../../support/callers.ts";
import { ending, eventually, next, pause, within } from "../../support/events.ts";
import { call, errorCode, runnersUntil } from "../../support/http.ts";
import { HALF, startMixedTarget } from "../../support/mixed-target.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startScriptedAgent } from "../../support/scripted-agent.ts";
import { startCallers } from "../../support/steady-callers.ts";
import { startSuccessor } from "../../support/successor.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { openWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

const LONG_MS = 60_000;

function connected(runners: { state: string }[]): boolean {
  return runners[0]?.state === "connected";
}

describe("a control plane with a successor on its socket", () => {
  it("loses no request, refuses no connection, and lets transfers and WebSockets go on", async () => {
    const target = await startMixedTarget();
    await using system = await startSystem({
      target,
      agent: { connections: 2 },
      controlPlane: { drainMs: LONG_MS },
    });
    const { controlPlane, url } = system;
    const callers = startCallers(`${url}${via("/small")}`, 8);
    await using caller = await openCaller("HTTP/1.1", system);
    const downloads = await Promise.all(
      Array.from({ length: 3 }, () => caller.open({ path: via("/download") }).response),
    );
    const uploads = Array.from({ length: 3 }, () => {
      const upload = caller.open({ method: "PUT", path: via("/upload") });
      upload.request.write(HALF);
      return upload;
    });
    const webSockets = await Promise.all(
      Array.from({ length: 20 }, () => openWebSocket("HTTP/1.1", system, via("/echo"))),
    );
    await callers.results.findNth(100, () => true, "responses before");

    await using successor = await startSuccessor(controlPlane.listenFd());
    assert.equal(successor.address.port, controlPlane.port);
    const closed = controlPlane.close({ successor: true });
    assert.equal(controlPlane.listenFd(), undefined);
    await runnersUntil(url, connected, "the agent at the successor");
    await callers.results.findNth(callers.results.length + 100, () => true, "responses after");
    await callers.stop();
    assert.deepEqual([...new Set(callers.results.all)], ["200 ok"]);

    for (const webSocket of webSockets) webSocket.socket.send("still there");
    for (const webSocket of webSockets) assert.equal(await webSocket.text(), "still there");
    for (const response of target.downloads.all) response.end(HALF);
    for (const { body } of downloads) {
      const { kind, data } = await ending(body);
      assert.deepEqual([kind, data.length], ["end", 2 * HALF.length]);
    }
    for (const { request, response } of uploads) {
      request.end(HALF);
      const { data } = await ending((await response).body);
      assert.equal(data.toString(), String(2 * HALF.length));
    }
    for (const { socket } of webSockets) socket.close(1000);
    await within(closed, "the end of the first one");
    assert.deepEqual(await successor.end(), { code: 0, signal: null });
  });

  it("serves what still comes on its connections, which then close, through the agents' old connections", async () => {
    const target = await startMixedTarget();
    await using system = await startSystem({ target, controlPlane: { drainMs: LONG_MS } });
    const socket = net.connect(system.controlPlane.port, "127.0.0.1");
    const request = (path: string): string =>
      [`GET ${via(path)} HTTP/1.1`, "Host: x", `Authorization: Bearer ${ADMIN_TOKEN}`, "", ""].join("\r\n");
    socket.write(request("/download"));
    const download = await target.downloads.find(() => true, "the download");
    await next(socket, "readable");
    await using successor = await startSuccessor(system.controlPlane.listenFd());
    const closed = system.controlPlane.close({ successor: true });
    await runnersUntil(system.url, connected, "the agent at the successor");
    const received = ending(socket);
    socket.write(request("/small"));
    download.end();
    const text = (await received).data.toString("latin1");
    const [, first = "", second = ""] = text.split("HTTP/1.1 200 OK");
    assert.doesNotMatch(first.slice(0, 1_000), /connection: close/i);
    assert.match(second, /connection: close[^]*\r\n\r\n2\r\nok|connection: close[^]*\r\n\r\nok/i);
    socket.end();
    await within(closed, "the end of the first one");
    assert.ok(successor.running);
  });

  it("sends GOAWAY to agents that do not know the notice of a restart", async () => {
    await using system = await startSystem({ agents: 0, controlPlane: { drainMs: LONG_MS } });
    const { controlPlane } = system;
    const agent = await startScriptedAgent(controlPlane, { capabilities: ["notices"], onStream: () => {} });
    const goaway = next<[number, number, Buffer]>(agent.session, "goaway");
    await using successor = await startSuccessor(system.controlPlane.listenFd());
    const closed = system.controlPlane.close({ successor: true });
    const [code, , data] = await goaway;
    const { reason, reconnectSpreadMs } = JSON.parse(data.toString()) as Record<string, unknown>;
    assert.deepEqual([code, reason, typeof reconnectSpreadMs], [0, "draining", "number"]);
    await within(closed, "the end of the first one");
    assert.ok(successor.running);
  });

  it("fails dials that wait for an agent at once: it comes to the successor", async () => {
    await using system = await startSystem({ controlPlane: { drainMs: LONG_MS } });
    const { controlPlane } = system;
    await system.agent.close();
    const waits = call(`${system.url}${via("/")}`);
    await eventually(() => controlPlane.runners()[0]?.waitingDials === 1, "a waiting dial");
    const closed = controlPlane.close({ successor: true });
    const refused = await waits;
    assert.deepEqual([refused.status, errorCode(refused)], [503, "control_plane_draining"]);
    await within(closed, "the end");
  });

  it("leaves runners to it that it does not know: dials wait for their agents", async () => {
    await using target = await startMixedTarget();
    await using system = await startSystem({ agents: 0, controlPlane: { drainMs: LONG_MS } });
    const { url } = system;
    await using successor = await startSuccessor(system.controlPlane.listenFd());
    await within(system.controlPlane.close({ successor: true }), "the end of the first one");
    const waits = call(`${url}${via("/small")}`);
    let metrics = "";
    for (let n = 0; n < 1_000 && !metrics.includes("\nturnabout_waiting_dials 1\n"); n += 1) {
      metrics = (await call(`${url}/metrics`)).body;
      await pause();
    }
    await using agent = followAgent({ server: url, runners: { [RUNNER]: { [TARGET]: target.address } } });
    assert.equal((await waits).body, "ok");
    assert.ok(successor.running && agent.agent.connections === 1);
  });
});
