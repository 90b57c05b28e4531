/** An agent that loses some of its runners, to a newer agent or because it removes them, and keeps the others. */
import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { afterEach, describe, it } from "node:test";
import { assertEchoes, followAgent, keptLog } from "../../support/agents.ts";
import { EventLog } from "../../support/event-log.ts";
import { eventually } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startSystem } from "../../support/system.ts";
import { startHttpTarget, startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

describe("an agent that loses one of two runners to a newer agent", () => {
  it("is notified once, keeps the other, does not take it back, and serves it again when the newer one leaves", async () => {
    await using mark = await startTarget((socket) => void socket.end("newer"));
    await using system = await startSystem({ agents: 0 });
    const { dial } = system.controlPlane;
    const echo = { echo: system.target.address };
    const { log, lines } = keptLog();
    await using older = followAgent({
      server: system.url,
      connections: 2,
      runners: { a: echo, b: echo },
      log,
    });
    const view = (id: string) => system.controlPlane.runners().find((runner) => runner.id === id);
    await eventually(() => view("b")?.connections.length === 2, "both connections");
    const newer = await system.addAgent({ b: { echo: mark.address } });
    await older.events.find(({ type }) => type === "runner-replaced", "the event");
    await eventually(() => view("b")?.fallbackConnections.length === 2, "its stand-by connections");

    const response = async (): Promise<string> => {
      const socket = await dial("b", "echo", { waitMs: 5_000 });
      socket.end("older");
      let text = "";
      for await (const chunk of socket) text += String(chunk);
      return text;
    };
    assert.equal(await response(), "newer");
    await assertEchoes(dial, "a", "echo");

    // A reconnect of the older must not take it back.
    const before = older.events.length;
    for (const { http2Session } of view("a")?.connections ?? [])
      http2Session.destroy(new Error("cut by the test"));
    await older.events.find(({ type }) => type === "connected", "the reconnect", { from: before });
    await eventually(
      () => view("a")?.connections.length === 2 && view("b")?.fallbackConnections.length === 2,
      "its return",
    );
    assert.equal(await response(), "newer");

    await newer.close();
    await eventually(() => view("b")?.connections.length === 2, "the older one in use");
    assert.equal(await response(), "older");
    const replaced = older.events.all.filter(({ type }) => type === "runner-replaced");
    assert.deepEqual(replaced, [{ type: "runner-replaced", runner: "b" }]);
    const logged = lines.all.filter(({ message }) => message.startsWith("runner replaced by a newer agent"));
    assert.deepEqual(
      logged.map(({ level, fields }) => [level, fields]),
      [["warn", { runner: "b" }]],
    );
  });
});

describe("the URL of the agent endpoint", () => {
  it("names the runners that the agent has when it dials", async () => {
    const urls = new EventLog<string>();
    await using endpoint = await startHttpTarget(() => {});
    endpoint.http.on("upgrade", (request: IncomingMessage, socket) => {
      urls.push(request.url ?? "");
      socket.destroy();
    });
    await using agent = followAgent({
      server: `http://${endpoint.address}`,
      runners: { a: { t: "127.0.0.1:1" }, b: { t: "127.0.0.1:1" } },
    });
    const until = (query: string) => urls.find((url) => url.endsWith(query), query, { from: urls.length });
    await until("/revdial?runnerid=a&runnerid=b");
    agent.agent.removeRunner("a");
    await until("/revdial?runnerid=b");
    agent.agent.addRunner({ id: "c", targets: [] });
    await until("/revdial?runnerid=b&runnerid=c");
    agent.agent.removeRunner("b");
    agent.agent.removeRunner("c");
    await until("/revdial?runnerid=a&runnerid=b"); // it must name at least one
  });
});
