/** Readers of events and waits for unknown runners: one user cannot take the places of others. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import { EVENT_READERS_PER_CALLER, UNKNOWN_RUNNERS_PER_CALLER } from "../../../src/control/shares/limits.ts";
import { errorCode, openCaller, via } from "../../support/callers.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const user = (id: string): TokenRecord => ({ id, kind: "user", sha256: hashToken(id), runners: ["*"] });
const runner: TokenRecord = { id: "sandbox", kind: "runner", sha256: hashToken("sandbox"), runners: ["*"] };
const tokens = [user("alice"), user("bob"), runner];
const as = (who: string) => ({ authorization: `Bearer ${who}` });

describe("readers of events", () => {
  it("are refused to a credential that has its share, and not to others", async () => {
    await using system = await startSystem({ agents: 0, controlPlane: { tokens } });
    await using caller = await openCaller("HTTP/2 by prior knowledge", system);
    const open = (who: string) => caller.open({ path: "/api/v1/events", headers: as(who), bodyless: true });
    const readers = Array.from({ length: EVENT_READERS_PER_CALLER }, () => open("sandbox"));
    for (const { response } of readers) assert.equal((await response).status, 200);
    const refused = await caller.call({ path: "/api/v1/events", headers: as("sandbox") });
    assert.deepEqual([refused.status, errorCode(refused.text)], [429, "share_exceeded"]);
    assert.equal(refused.headers["retry-after"], "1");
    assert.equal((await open("bob").response).status, 200);
    readers[0]?.abort();
    await eventuallyServed(async () => (await open("sandbox").response).status);
  });
});

describe("waits for runners that have never connected", () => {
  it("are refused to a user who has a share of them, and not to others", async () => {
    await using system = await startSystem({ agents: 0, controlPlane: { tokens } });
    await using caller = await openCaller("HTTP/2 by prior knowledge", system);
    const wait = (who: string, id: string, seconds: number) => ({
      path: via("/", TARGET, id),
      headers: { ...as(who), prefer: `wait=${seconds}` },
    });
    for (let n = 0; n < UNKNOWN_RUNNERS_PER_CALLER; n += 1) {
      caller.open({ ...wait("alice", `invented-${n}`, 60), bodyless: true });
    }
    const refused = await caller.call(wait("alice", "one-more", 60));
    assert.deepEqual([refused.status, errorCode(refused.text)], [429, "share_exceeded"]);
    // Another user waits, until the time is over.
    const waited = await caller.call(wait("bob", "bobs", 1));
    assert.deepEqual([waited.status, errorCode(waited.text)], [404, "runner_unknown"]);
  });
});

async function eventuallyServed(status: () => Promise<number>): Promise<void> {
  let last = 0;
  for (let n = 0; n < 100 && last !== 200; n += 1) last = await status();
  assert.equal(last, 200);
}
