/** A control plane that is closed without a successor serves until what was open has finished, and tells everybody. */
import assert from "node:assert/strict";
import http2 from "node:http2";
import net from "node:net";
import { afterEach, describe, it } from "node:test";
import { followAgent, keptLog } from "../../support/agents.ts";
import { openCaller, via } from "../../support/callers.ts";
import { ending, eventually, next, within } from "../../support/events.ts";
import { call, errorCode, targetUrl } from "../../support/http.ts";
import { HALF, startMixedTarget } from "../../support/mixed-target.ts";
import type { MixedTarget } from "../../support/mixed-target.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startEchoTarget } from "../../support/target.ts";
import { openWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

const LONG_MS = 60_000;
const SERVICE_RESTART = 1012;

async function start(drainMs: number): Promise<System & { target: MixedTarget }> {
  const target = await startMixedTarget();
  return Object.assign(await startSystem({ target, controlPlane: { drainMs } }), { target });
}

describe("a control plane that is closed", () => {
  it("serves everybody while what was open finishes, and asks HTTP/1.1 callers to close", async () => {
    await using system = await start(LONG_MS);
    const { controlPlane, target, url } = system;
    await using caller = await openCaller("HTTP/1.1", system);
    const { body } = await caller.open({ path: via("/download") }).response;
    const closed = controlPlane.close();

    const small = await caller.call({ path: via("/small"), headers: { connection: "keep-alive" } });
    assert.deepEqual([small.status, small.text, small.headers.connection], [200, "ok", "close"]);
    const readiness = await call(`${url}/readyz`);
    assert.equal(readiness.status, 503);
    await using http2Caller = await openCaller("HTTP/2 by prior knowledge", system);
    assert.equal((await http2Caller.call({ path: via("/small") })).text, "ok");
    const agent = await system.addAgent({ late: { [TARGET]: target.address } });
    assert.equal((await call(targetUrl(url, "late", TARGET, "/small"))).body, "ok");
    assert.equal(agent.connections, 1);

    for (const response of target.downloads.all) response.end(HALF);
    assert.deepEqual([(await ending(body)).kind], ["end"]);
    await within(closed, "the end");
    await assert.rejects(call(url), { code: "ECONNREFUSED" });
  });

  it("ends at its deadline what is left: WebSockets by 1012 at both ends, events by their end, others by a reset", async () => {
    await using system = await start(100);
    const { controlPlane, target } = system;
    await using caller = await openCaller("HTTP/1.1", system);
    const webSocket = await openWebSocket("HTTP/1.1", system, via("/echo"));
    const overHttp2 = await openWebSocket("HTTP/2 by prior knowledge", system, via("/echo"));
    const download = await caller.open({ path: via("/download") }).response;
    const events = await caller.open({ path: via("/events") }).response;
    const tunnel = net.connect(controlPlane.port, "127.0.0.1");
    const authority = `${TARGET}.${RUNNER}`;
    const authorization = `Proxy-Authorization: Bearer ${ADMIN_TOKEN}`;
    tunnel.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${authorization}\r\n\r\n`);
    await next(tunnel, "readable");
    const ends = [ending(download.body), ending(events.body), ending(tunnel)] as const;
    await controlPlane.close();
    const kinds = (await Promise.all(ends)).map(({ kind }) => kind);
    assert.deepEqual(kinds, ["error", "end", "error"]);
    for (const { closed } of [webSocket, overHttp2]) {
      assert.deepEqual(await closed, {
        code: SERVICE_RESTART,
        reason: "the control plane is restarting",
      });
    }
    await target.closeCodes.findNth(2, (code) => code === SERVICE_RESTART, "the close frame at the target");
  });

  it("ends a WebSocket behind the frame that is under way", async () => {
    const { log, lines } = keptLog();
    const target = await startMixedTarget();
    await using system = await startSystem({ target, controlPlane: { drainMs: 50, log } });
    const caller = await openWebSocket("HTTP/1.1", system, via("/echo"));
    const socket = await target.webSockets.find(() => true, "the WebSocket");
    const text = "x".repeat(100);
    socket.write(Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text.slice(0, 10))]));
    const closed = system.controlPlane.close();
    await lines.find(({ message }) => message.startsWith("the drain deadline has passed"), "the deadline");
    const another = Buffer.from([0x81, 1, 0x79]);
    socket.write(Buffer.concat([Buffer.from(text.slice(10)), another]));
    assert.equal((await caller.closed).code, SERVICE_RESTART);
    assert.deepEqual(
      caller.messages.all.map(({ data }) => data.toString()),
      [text],
    );
    await within(closed, "the end");
  });

  it("keeps a connection that was in use for a moment: the request that is on its way is served", async () => {
    await using system = await start(LONG_MS);
    const socket = net.connect(system.controlPlane.port, "127.0.0.1");
    const received = ending(socket);
    const request = [
      `GET ${via("/small")} HTTP/1.1`,
      "Host: x",
      `Authorization: Bearer ${ADMIN_TOKEN}`,
      "",
      "",
    ];
    socket.write(request.join("\r\n"));
    await next(socket, "data");
    const idle = net.connect(system.controlPlane.port, "127.0.0.1");
    const silence = ending(idle);
    const closed = system.controlPlane.close();
    socket.write(request.join("\r\n"));
    const [, , second = ""] = (await received).data.toString().split("HTTP/1.1 200 OK");
    assert.match(second, /\r\nconnection: close\r\n/i);
    await within(closed, "the end, which closes what stays idle");
    assert.deepEqual([(await silence).kind, (await silence).data.length], ["end", 0]);
  });

  it("sends GOAWAY to HTTP/2 callers at once, and finishes their streams", async () => {
    await using system = await start(LONG_MS);
    const session = http2.connect(system.url);
    const authorization = `Bearer ${ADMIN_TOKEN}`;
    const stream = session.request({ ":path": via("/download"), authorization });
    await next(stream, "response");
    const end = ending(stream);
    const closed = system.controlPlane.close();
    await next(session, "goaway");
    system.target.downloads.all[0]?.end(HALF);
    assert.deepEqual([(await end).kind, (await end).data.length], ["end", 2 * HALF.length]);
    await within(closed, "the end");
  });

  it("ends dialled streams at its deadline, before their agents are sent away", async () => {
    await using target = await startEchoTarget();
    await using system = await startSystem({ agents: 0, controlPlane: { drainMs: 50 } });
    const runners = { [RUNNER]: { [TARGET]: target.address } };
    await using agent = followAgent({ server: system.url, runners });
    const socket = await system.controlPlane.dial(RUNNER, TARGET, { waitMs: 5_000 });
    const closed = system.controlPlane.close();
    assert.equal((await ending(socket)).kind, "error");
    assert.equal(agent.events.all.filter(({ type }) => type === "lost").length, 0);
    await within(closed, "the end");
    await agent.lost();
  });

  it("does not wait for what has begun later", async () => {
    await using system = await start(LONG_MS);
    const { controlPlane, target } = system;
    await using caller = await openCaller("HTTP/1.1", system);
    const { body } = await caller.open({ path: via("/download") }).response;
    const closed = controlPlane.close();
    const late = await openWebSocket("HTTP/1.1", system, via("/echo"));
    const lateDownload = await caller.open({ path: via("/download") }).response;
    const lateEnd = ending(lateDownload.body);
    target.downloads.all[0]?.end();
    assert.equal((await ending(body)).kind, "end");
    await within(closed, "the end");
    assert.equal((await late.closed).code, SERVICE_RESTART);
    assert.equal((await lateEnd).kind, "error");
  });

  it("refuses a dial that waits when its deadline is over, and says when to come back", async () => {
    await using system = await start(100);
    await system.agent.close();
    await eventually(() => system.controlPlane.runners()[0]?.state === "reconnecting", "the loss");
    const waits = call(targetUrl(system.url, RUNNER, TARGET));
    await eventually(() => system.controlPlane.runners()[0]?.waitingDials === 1, "a waiting dial");
    await system.controlPlane.close();
    const refused = await waits;
    assert.deepEqual([refused.status, errorCode(refused)], [503, "control_plane_draining"]);
    assert.ok(Number(refused.headers["retry-after"]) > 0);
  });

  it("gets its agents back soon: those that were told retry quickly", async () => {
    await using system = await startSystem({ agents: 0 });
    const slow = { backoffBaseMs: 60_000, backoffCapMs: 60_000 };
    await using agent = followAgent({ server: system.url, ...slow });
    await agent.connected();
    await eventually(() => system.controlPlane.runners()[0]?.state === "connected", "the registration");
    await system.controlPlane.close();
    assert.match((await agent.lost()).reason, /^draining: /);
    await agent.events.findNth(3, ({ type }) => type === "attempt-failed", "attempts");
    for (const event of agent.events.all) {
      if (event.type === "attempt-failed") assert.ok(event.retryInMs >= 50 && event.retryInMs < 250);
    }
  });
});
