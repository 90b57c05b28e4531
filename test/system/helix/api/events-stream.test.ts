import assert from "node:assert/strict";
import type { Readable } from "node:stream";
import { afterEach, describe, it } from "node:test";
import { openCaller, PLAINTEXT_CALLERS } from "../../../support/callers.ts";
import type { Caller } from "../../../support/callers.ts";
import { EventLog } from "../../../support/event-log.ts";
import { ending, next, within } from "../../../support/events.ts";
import { call, open } from "../../../support/http.ts";
import { assertNothingOpen } from "../../../support/nothing-open.ts";
import { api, issueToken } from "../../../support/api.ts";
import { newSession, startSessions } from "../sessions-stand.ts";

afterEach(() => assertNothingOpen());

interface Seen {
  type: string;
  [field: string]: unknown;
}

/** Reads server-sent events as a browser would. */
async function listen(caller: Caller, token: string): Promise<{ events: EventLog<Seen>; body: Readable }> {
  const request = caller.open({ path: "/api/v1/events", headers: { authorization: `Bearer ${token}` } });
  request.request.end();
  const { status, headers, body } = await within(request.response, "the events");
  assert.deepEqual(
    [status, headers["content-type"], headers["cache-control"]],
    [200, "text/event-stream", "no-cache"],
  );
  const events = new EventLog<Seen>();
  const greeted = Promise.withResolvers<void>();
  let text = "";
  body.on("error", () => {}); // permanently
  body.on("data", (chunk: Buffer) => {
    text += chunk.toString("utf8");
    const parts = text.split("\n\n");
    text = parts.pop() ?? "";
    for (const part of parts) {
      if (part === ": connected") greeted.resolve();
      const [, name, data] = /^event: (\S+)\ndata: (.*)$/.exec(part) ?? [];
      if (name === undefined || data === undefined) continue;
      const event = JSON.parse(data) as Seen;
      assert.equal(event.type, name);
      events.push(event);
    }
  });
  await within(greeted.promise, "the greeting");
  return { events, body };
}

for (const kind of PLAINTEXT_CALLERS) {
  describe(`/api/v1/events over ${kind}`, () => {
    it("sends an admin all events, and users those of their own sessions", async () => {
      await using stand = await startSessions({ controlPlane: { graceMs: 50 } });
      const { url, system } = stand;
      const alice = await issueToken(url, { id: "alice", kind: "user" });
      const bob = await issueToken(url, { id: "bob", kind: "user", runners: ["wolf-*", "sandbox-*"] });
      const runner = await issueToken(url, { id: "web", kind: "runner", runners: ["*"] });
      await using caller = await openCaller(kind, system);
      const admin = await listen(caller, "test-admin-token");
      const hers = await listen(caller, alice);
      const his = await listen(caller, bob);
      const its = await listen(caller, runner);

      const session = await newSession(url, {}, alice);
      const sandbox = await system.addAgent({ [session.runner]: { screenshot: "127.0.0.1:1" } });
      await sandbox.close();
      await stand.event("grace-expired", session.runner);
      const other = await newSession(url, {}, bob);
      assert.equal((await api(url, "DELETE", `/api/v1/sessions/${session.id}`)).status, 204);
      await api(url, "DELETE", `/api/v1/sessions/${other.id}`);
      await admin.events.findNth(2, ({ type }) => type === "session-ended", "both ends");
      await his.events.find(({ type }) => type === "session-ended", "his");
      await hers.events.find(({ type }) => type === "session-ended", "hers");

      const ofSession = (id: string, owner: string, reason: string) => [
        { type: "session-created", session: id, owner, instance: "a" },
        { type: "session-ended", session: id, owner, reason },
      ];
      const [created, ended] = ofSession(session.id, "alice", "deleted");
      const tunnel = hers.events.all.slice(1, -1);
      assert.deepEqual(hers.events.all, [created, ...tunnel, ended]);
      assert.deepEqual(
        tunnel.map(({ type, runner }) => [type, runner]),
        ["connected", "lost", "grace-expired"].map((type) => [type, session.runner]),
      );
      assert.deepEqual(his.events.all, ofSession(other.id, "bob", "deleted"));
      assert.deepEqual(its.events.all, []);
      for (const event of [...hers.events.all, ...his.events.all]) {
        assert.ok(
          admin.events.all.some((one) => JSON.stringify(one) === JSON.stringify(event)),
          `the admin has received ${JSON.stringify(event)}`,
        );
      }
    });

    it("ends when the control plane closes, without waiting for the reader", async () => {
      const stand = await startSessions({ controlPlane: { drainMs: 60_000 } });
      const caller = await openCaller(kind, stand.system);
      const { body } = await listen(caller, "test-admin-token");
      const end = ending(body);
      const closed = Promise.resolve(stand[Symbol.asyncDispose]());
      assert.equal((await end).kind, "end");
      await caller.close();
      await within(closed, "the end of the control plane");
    });
  });
}

describe("/api/v1/events", () => {
  it("is released when its reader disconnects", async () => {
    await using stand = await startSessions();
    for (let i = 0; i < 20; i += 1) {
      const events = await open(`${stand.url}/api/v1/events`);
      await next(events, "data");
      events.destroy();
    }
    const head = await call(`${stand.url}/api/v1/events`, { method: "HEAD" });
    assert.deepEqual([head.status, head.headers["content-type"]], [200, "text/event-stream"]);
  });
});
