import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import http2 from "node:http2";
import { afterEach, describe, it } from "node:test";
import { Command, startAgent, startServe } from "../../support/commands.ts";
import { EventLog } from "../../support/event-log.ts";
import { ending, next, within } from "../../support/events.ts";
import { bodyOf, call, open, runnersUntil, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const PROCESSES = 2;
const AGENTS = 50;

interface CrowdEvent {
  id: string;
  type: string;
  retryInMs?: number;
}

function allConnected(runners: { state: string }[]): boolean {
  return runners.filter(({ state }) => state === "connected").length === AGENTS;
}

describe("a control plane that is killed and started again on its port", () => {
  it(`gets all ${AGENTS} agents back, at different moments, and none has exited`, async () => {
    await using stack = new AsyncDisposableStack();
    const before = stack.use(await startServe());
    const crowd = Array.from({ length: PROCESSES }, (_, i) => {
      const count = AGENTS / PROCESSES;
      const args = [before.url, String(i * count), String(count)];
      const env = { TURNABOUT_TOKEN: ADMIN_TOKEN };
      return stack.use(new Command(new URL("../../support/agents.child.ts", import.meta.url), args, { env }));
    });
    await runnersUntil(before.url, allConnected, "the first connects");

    await before.end("SIGKILL");
    const events = (command: Command): CrowdEvent[] =>
      command.output.all.map((line) => JSON.parse(line) as CrowdEvent);
    for (const command of crowd) {
      await command.output.findNth(10, (line) => line.includes('"lost"'), "ten losses");
      await command.output.find((line) => line.includes('"attempt-failed"'), "an attempt in between");
    }
    const after = stack.use(await startServe([], { port: before.port }));
    await runnersUntil(after.url, allConnected, "the reconnects");
    assert.ok(
      crowd.every(({ running }) => running),
      "every process lives",
    );
    const delays = crowd.flatMap((command) =>
      events(command).flatMap(({ retryInMs }) => (retryInMs === undefined ? [] : [retryInMs])),
    );
    assert.ok(delays.length >= 20);
    assert.ok(new Set(delays).size > delays.length / 2, `full jitter: ${delays.join(" ")}`);
    await Promise.all(crowd.map((command) => command.end()));
  });
});

describe("a control plane that gets SIGTERM", () => {
  it("serves while what was in flight finishes, and its agents go to the new one on the same port", async () => {
    const requests = new EventLog<ServerResponse>();
    await using target = await startHttpTarget((_request, response) => {
      response.write("first half, ");
      requests.push(response);
    });
    const finish = async (count: number): Promise<void> => {
      (await requests.findNth(count, () => true, "a request")).end("second half");
    };
    await using old = await startServe();
    await using agent = startAgent(old.url, "web", `web=${target.address}`);
    await runnersUntil(old.url, (runners) => runners[0]?.state === "connected", "the agent");
    const response = await open(targetUrl(old.url, "web", "web"));
    await next(response, "readable");

    old.signal("SIGTERM");
    await old.logged("draining; a second signal exits at once");
    const meanwhile = call(targetUrl(old.url, "web", "web"));
    await finish(2);
    assert.equal((await meanwhile).body, "first half, second half");
    assert.ok(old.running, "it still waits for its request");
    await finish(1);
    assert.equal(await bodyOf(response), "first half, second half");
    assert.deepEqual(await within(old.exited, "the old one's end"), { code: 0, signal: null });

    await using fresh = await startServe([], { port: old.port });
    await runnersUntil(fresh.url, (runners) => runners[0]?.state === "connected", "the agent at the new one");
    const again = call(targetUrl(fresh.url, "web", "web"));
    await finish(3);
    assert.equal((await again).body, "first half, second half");
    assert.ok(agent.running);
  });

  it("lets a slow caller read the rest of a response that has left the tunnel already", async () => {
    const bytes = 8 * 1024; // small enough to leave the tunnel whole, without back-pressure
    await using target = await startHttpTarget((_request, response) => {
      response.end(Buffer.alloc(bytes, "x"));
    });
    await using serve = await startServe();
    await using agent = startAgent(serve.url, "web", `web=${target.address}`, ["--connections", "1"]);
    await runnersUntil(serve.url, (runners) => runners[0]?.state === "connected", "the agent");
    // The caller's window holds less than the response, and it reads nothing: the rest waits in the control plane.
    const caller = http2.connect(serve.url, { settings: { initialWindowSize: 1024 } });
    await next(caller, "remoteSettings");
    const closed = once(caller, "close");
    const { pathname } = new URL(targetUrl(serve.url, "web", "web"));
    const stream = caller.request({ ":path": pathname, authorization: `Bearer ${ADMIN_TOKEN}` });
    await next(stream, "response");
    await agent.end();
    await serve.logged("agent connection closed");
    serve.signal("SIGTERM");
    await serve.logged("draining; a second signal exits at once");
    const { kind, data } = await ending(stream);
    assert.deepEqual([kind, data.length], ["end", bytes]);
    assert.deepEqual(await within(serve.exited, "its end"), { code: 0, signal: null });
    await closed;
  });

  it("ends at its drain deadline, whatever is still open", async () => {
    await using target = await startHttpTarget((_request, response) => void response.write("never the end"));
    await using serve = await startServe(["--drain", "0.3"]);
    await using agent = startAgent(serve.url, "web", `web=${target.address}`);
    await runnersUntil(serve.url, (runners) => runners[0]?.state === "connected", "the agent");
    const response = await open(targetUrl(serve.url, "web", "web"));
    const end = ending(response);
    assert.deepEqual(await serve.end(), { code: 0, signal: null });
    assert.equal((await end).kind, "error");
    assert.ok(agent.running);
  });

  it("exits at once at a second signal", async () => {
    await using target = await startHttpTarget((_request, response) => void response.write("never the end"));
    await using serve = await startServe(["--drain", "600"]);
    await using agent = startAgent(serve.url, "web", `web=${target.address}`);
    await runnersUntil(serve.url, (runners) => runners[0]?.state === "connected", "the agent");
    const response = await open(targetUrl(serve.url, "web", "web"));
    const end = ending(response);
    serve.signal("SIGINT");
    await serve.logged("draining; a second signal exits at once");
    assert.deepEqual(await serve.end("SIGINT"), { code: 1, signal: null });
    assert.equal((await end).kind, "error");
    assert.ok(agent.running);
  });
});
