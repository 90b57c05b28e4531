/** A process that did not run for a while, while requests have arrived: they are requests, and their connections not idle. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { CALLER_MIN_IDLE_MS } from "../../../src/control/limits.ts";
import { startAgent, startServe } from "../../support/commands.ts";
import type { ServeCommand } from "../../support/commands.ts";
import { ending, eventually, next } from "../../support/events.ts";
import { call, open, runnersUntil, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { connectRaw } from "../../support/raw-http.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const CALLERS = 20;
const REQUEST = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/** Connections that have brought a request, and are kept alive. */
async function idleCallers(serve: ServeCommand): Promise<Socket[]> {
  return Promise.all(
    Array.from({ length: CALLERS }, async () => {
      const socket = await connectRaw(serve.port);
      socket.write(REQUEST);
      const [response] = await next<[Buffer]>(socket, "data");
      assert.match(response.toString(), /^HTTP\/1\.1 200 /);
      socket.removeAllListeners("data");
      return socket;
    }),
  );
}

async function stop(serve: ServeCommand): Promise<void> {
  serve.signal("SIGSTOP");
  const state = (): string =>
    readFileSync(`/proc/${serve.pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .slice(0, 1);
  await eventually(() => state() === "T", "the process to stop");
}

/** Connections that are idle, but not for so long that a process that drains has closed them before it is stopped. */
async function stoppedWithNewCallers(serve: ServeCommand): Promise<Socket[]> {
  for (;;) {
    const startedAtMs = performance.now();
    const sockets = await Promise.all(Array.from({ length: CALLERS }, () => connectRaw(serve.port)));
    await call(`${serve.url}/healthz`); // which is accepted after them
    await stop(serve);
    if (performance.now() - startedAtMs < CALLER_MIN_IDLE_MS) return sockets;
    serve.signal("SIGCONT");
    for (const socket of sockets) socket.destroy();
  }
}

/** Statuses of the responses; the kind of the connection's end where there is none. */
async function outcomes(sockets: readonly Socket[]): Promise<string[]> {
  const all = await Promise.all(sockets.map((socket) => ending(socket)));
  for (const socket of sockets) socket.destroy();
  return all.map(({ kind, data }) => /^HTTP\/1\.1 (\d+) /.exec(data.toString())?.[1] ?? kind);
}

const ALL_SERVED = Array.from({ length: CALLERS }, () => "200");
/** Longer than a connection has to be idle to be closed. */
const IDLE_MS = CALLER_MIN_IDLE_MS + 200;

describe("a process that was stopped while requests arrived", () => {
  it("serves them before it closes idle connections, where it is to drain", async () => {
    await using serve = await startServe();
    const sockets = await idleCallers(serve);
    await delay(IDLE_MS);
    await stop(serve);
    for (const socket of sockets) socket.write(REQUEST);
    serve.signal("SIGTERM");
    serve.signal("SIGCONT");
    assert.deepEqual(await outcomes(sockets), ALL_SERVED);
    assert.deepEqual(await serve.exited, { code: 0, signal: null });
  });

  it("serves them before it closes idle connections, where it drains already", async () => {
    await using target = await startHttpTarget((_request, response) => void response.write("endless "));
    await using serve = await startServe(["--drain", "60"]);
    await using agent = startAgent(serve.url, "web", `web=${target.address}`);
    await runnersUntil(serve.url, ([runner]) => runner?.state === "connected", "the agent");
    const held = await open(targetUrl(serve.url, "web", "web"));
    serve.signal("SIGTERM");
    await serve.logged("draining; a second signal exits at once");
    const sockets = await stoppedWithNewCallers(serve);
    for (const socket of sockets) socket.write(REQUEST);
    await delay(IDLE_MS);
    serve.signal("SIGCONT");
    assert.deepEqual(await outcomes(sockets), ALL_SERVED);
    assert.ok(agent.running);
    held.destroy();
    assert.deepEqual(await serve.exited, { code: 0, signal: null });
  });
});
