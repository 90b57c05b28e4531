import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentLogger } from "../../wire/log.ts";
import type { Session, SessionState } from "../store/sessions.ts";
import { AbandonedSessions } from "./abandoned-sessions.ts";

const LIMIT_MS = 1_000;

function session(id: string, owner: string, state: SessionState = "running"): Session {
  return {
    id,
    owner,
    state,
    name: "n",
    instanceId: "a",
    lobbyId: "l",
    lobbyPin: undefined,
    reason: undefined,
    spec: { width: 1, height: 1, refreshRate: 1 },
    createdAtMs: 1,
    updatedAtMs: 1,
  };
}

function start(sessions: readonly Session[]) {
  const owners = new Set<string>();
  const removed: string[] = [];
  const abandoned = new AbandonedSessions({
    limitMs: LIMIT_MS,
    owners: () => owners,
    store: { list: () => [...sessions] },
    remove: ({ id }) => {
      removed.push(id);
      return id === "fails" ? Promise.reject(new Error("no Wolf")) : Promise.resolve();
    },
    log: silentLogger,
  });
  abandoned.close();
  return { abandoned, owners, removed };
}

describe("AbandonedSessions", () => {
  it("ends all sessions of an owner that has had no valid token for the whole time, and no others", () => {
    const all = [
      session("1", "alice"),
      session("fails", "alice"),
      session("3", "bob"),
      session("4", "alice", "stopping"),
    ];
    const { abandoned, owners, removed } = start(all);
    owners.add("bob");
    for (const now of [0, LIMIT_MS - 1]) abandoned.check(now);
    assert.deepEqual(removed, []);
    abandoned.check(LIMIT_MS);
    assert.deepEqual(removed, ["1", "fails"]);
  });

  it("begins anew once the owner has had a token meanwhile", () => {
    const { abandoned, owners, removed } = start([session("1", "alice")]);
    abandoned.check(0);
    owners.add("alice");
    abandoned.check(LIMIT_MS - 1);
    owners.delete("alice");
    for (const now of [LIMIT_MS, 2 * LIMIT_MS - 1]) abandoned.check(now);
    assert.deepEqual(removed, []);
    abandoned.check(2 * LIMIT_MS);
    assert.deepEqual(removed, ["1"]);
  });
});
