/** An agent that loses some of its runners, to a newer agent or by its owner's word, and goes on with the others. */
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
  it("is told once, keeps the other, never takes it back, and serves it again when the newer one leaves", async () => {
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
    await older.events.find(({ type }) => type === "runner-replaced", "the word of it");
    await eventually(() => view("b")?.fallbackConnections.length === 2, "its place behind");

    const answer = async (): Promise<string> => {
      const socket = await dial("b", "echo", { waitMs: 5_000 });
      socket.end("older");
      let text = "";
      for await (const chunk of socket) text += String(chunk);
      return text;
    };
    assert.equal(await answer(), "newer");
    await assertEchoes(dial, "a", "echo");

    // A reconnect of the older must not take it back.
    const before = older.events.length;
    for (const { session } of view("a")?.connections ?? []) session.destroy(new Error("cut by the test"));
    await older.events.find(({ type }) => type === "connected", "the reconnect", { from: before });
    await eventually(
      () => view("a")?.connections.length === 2 && view("b")?.fallbackConnections.length === 2,
      "its return",
    );
    assert.equal(await answer(), "newer");

    await newer.close();
    await eventually(() => view("b")?.connections.length === 2, "the older's turn");
    assert.equal(await answer(), "older");
    const told = older.events.all.filter(({ type }) => type === "runner-replaced");
    assert.deepEqual(told, [{ type: "runner-replaced", runner: "b" }]);
    const said = lines.all.filter(({ message }) =>
      message.startsWith("a runner is replaced by a newer agent"),
    );
    assert.deepEqual(
      said.map(({ level, fields }) => [level, fields]),
      [["warn", { runner: "b" }]],
    );
  });
});

describe("the door's URL", () => {
  it("names the runners that the agent has when it dials", async () => {
    const asked = new EventLog<string>();
    await using door = await startHttpTarget(() => {});
    door.http.on("upgrade", (request: IncomingMessage, socket) => {
      asked.push(request.url ?? "");
      socket.destroy();
    });
    await using agent = followAgent({
      server: `http://${door.address}`,
      runners: { a: { t: "127.0.0.1:1" }, b: { t: "127.0.0.1:1" } },
    });
    const until = (query: string) => asked.find((url) => url.endsWith(query), query, { from: asked.length });
    await until("/revdial?runnerid=a&runnerid=b");
    agent.agent.removeRunner("a");
    await until("/revdial?runnerid=b");
    agent.agent.addRunner({ id: "c", targets: [] });
    await until("/revdial?runnerid=b&runnerid=c");
    agent.agent.removeRunner("b");
    agent.agent.removeRunner("c");
    await until("/revdial?runnerid=a&runnerid=b"); // it must name one
  });
});
