import assert from "node:assert/strict";
import http2 from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import http from "node:http";
import { once } from "node:events";
import type { Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { createControlPlane } from "../../../src/control/control-plane.ts";
import { MAX_EVENT_LINE_BYTES } from "../../../src/wire/limits.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { runnersUntil } from "../../support/http.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

interface HandMadeAgent extends AsyncDisposable {
  runners: string[];
  /** The streams of `/events`, in the order of the requests. */
  nextEvents(): Promise<ServerHttp2Stream>;
}

/** An agent made of node:http2 alone: its `/events` can end while its tunnel connection stays open. */
async function dialByHand(port: number, runners: string[]): Promise<HandMadeAgent> {
  const request = http.get({
    port,
    path: `/api/v1/revdial?runnerid=${runners[0]}`,
    headers: { connection: "Upgrade", upgrade: "ptth", alpn: "h2", authorization: `Bearer ${ADMIN_TOKEN}` },
  });
  const [, socket, head] = (await once(request, "upgrade")) as [unknown, Socket, Buffer];
  if (head.length > 0) socket.unshift(head);
  const session = http2.performServerHandshake(socket);
  session.on("error", () => {});
  const waiting: ServerHttp2Stream[] = [];
  let wake = (): void => {};
  const agent: HandMadeAgent = {
    runners,
    nextEvents: async () => {
      while (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return waiting.shift() as ServerHttp2Stream;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(session, "close");
      session.destroy();
      socket.destroy();
      await closed;
    },
  };
  session.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    if (headers[":path"] === "/events") {
      stream.respond({ ":status": 200 });
      waiting.push(stream);
      return wake();
    }
    stream.respond({ ":status": 200, "content-type": "application/json" });
    const hello = {
      protocol: 1,
      version: "by-hand",
      instance: "by-hand",
      capabilities: ["events"],
      runners: agent.runners.map((id) => ({ id, targets: [{ name: "echo" }] })),
    };
    stream.end(JSON.stringify(hello));
  });
  return agent;
}

describe("an agent whose /events ends before its tunnel connection", () => {
  it("is sent GET /hello again, so that no change is missed", async () => {
    await using controlPlane = await createControlPlane({ port: 0, adminToken: ADMIN_TOKEN });
    const url = `http://127.0.0.1:${controlPlane.port}`;
    await using agent = await dialByHand(controlPlane.port, ["stays", "goes"]);
    const events = await agent.nextEvents();
    await runnersUntil(url, (list) => list.length === 2, "both runners");

    agent.runners = ["stays", "comes"];
    events.end();
    const states = (list: { id: string; state: string }[]): Record<string, string> =>
      Object.fromEntries(list.map(({ id, state }) => [id, state]));
    await runnersUntil(
      url,
      (list) => states(list)["comes"] === "connected" && states(list)["goes"] === "gone",
      "the change",
    );
    const followed = await agent.nextEvents();
    followed.write(`${JSON.stringify({ type: "runner-removed", id: "comes" })}\n`);
    await runnersUntil(url, (list) => states(list)["comes"] === "gone", "a later event");
    assert.equal(controlPlane.runners().find(({ id }) => id === "stays")?.state, "connected");
  });
});

describe("an invalid line of /events", () => {
  it("is dropped alone: the connection, the stream and the next lines stay valid", async () => {
    await using controlPlane = await createControlPlane({ port: 0, adminToken: ADMIN_TOKEN });
    const url = `http://127.0.0.1:${controlPlane.port}`;
    await using agent = await dialByHand(controlPlane.port, ["first"]);
    const events = await agent.nextEvents();
    let isReset = false;
    events.once("close", () => (isReset = true));
    const runner = (id: string, more: object = {}): object => ({ id, targets: [{ name: "echo" }], ...more });
    const lines = [
      { type: "runner-added", runner: runner("long"), pad: "x".repeat(MAX_EVENT_LINE_BYTES) },
      { type: "runner-added", runner: runner("longer"), pad: "x".repeat(200 * 1024) },
      { type: "runner-added", runner: runner("twice", { targets: [{ name: "a" }, { name: "a" }] }) },
      { type: "runner-added", runner: runner("found", { discovered: "yes" }) },
      { type: "runner-removed", id: "First" },
      { type: "target-health", runner: "first", target: "echo", healthy: "no" },
      { type: "runner-added", runner: runner("last") },
    ];
    for (const line of lines) events.write(`${JSON.stringify(line)}\n`);
    await runnersUntil(url, (list) => list.some(({ id }) => id === "last"), "the last line");
    assert.deepEqual(
      controlPlane
        .runners()
        .map(({ id, state }) => `${id} ${state}`)
        .toSorted(),
      ["first connected", "last connected"],
    );
    assert.equal(isReset, false);
  });
});
