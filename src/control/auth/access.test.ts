import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TurnaboutError } from "../../wire/errors.ts";
import { Access, requireAdmin } from "./access.ts";
import { createIdentity } from "./identity.ts";

const admin = createIdentity("admin", "h", { kind: "admin", runners: [] });
const alice = createIdentity("alice", "h", { kind: "user", runners: ["web"] });
const bob = createIdentity("bob", "h", { kind: "user", runners: [] });
const runner = createIdentity("web", "h", { kind: "runner", runners: ["web"] });

/** Runners `room-1-…` are group `1`, which is Bob's; it can be observed also where it cannot be dialled. */
function start({ isOpen = true } = {}): Access {
  const access = new Access();
  access.add({
    name: "room",
    groupOf: (id) => /^room-(\d+)-/.exec(id)?.[1],
    mayDial: (identity, group) => isOpen && group === "1" && identity.owner === "bob",
    mayObserve: (identity, group) => group === "1" && identity.owner === "bob",
  });
  return access;
}

describe("Access", () => {
  it("is the grant where a runner is in no group", () => {
    for (const access of [new Access(), start()]) {
      assert.deepEqual(
        [admin, alice, bob, runner].map((identity) => access.mayDial(identity, "web", "x")),
        [true, true, false, false],
      );
      assert.equal(access.groupOf("web"), undefined);
    }
  });

  it("lets a group's owner dial its runners, but no target that is kept for admins", () => {
    const access = start();
    assert.deepEqual(
      [admin, alice, bob].map((identity) => access.mayDial(identity, "room-1-a", "x")),
      [true, false, true],
    );
    assert.equal(access.mayDial(bob, "room-2-a", "x"), false);
    assert.equal(access.mayDial(bob, "room-1-a", "docker"), false);
    assert.equal(access.mayDial(admin, "room-1-a", "docker"), true);
    assert.equal(access.groupOf("room-1-a"), "1");
  });

  it("shows events of runners to admins, and of a group's runners to its owner", () => {
    const access = start({ isOpen: false });
    const observers = (id: string) => [admin, alice, bob].map((identity) => access.mayObserve(identity, id));
    assert.deepEqual(observers("web"), [true, false, false]);
    assert.deepEqual(observers("room-1-a"), [true, false, true]);
    assert.equal(access.mayDial(bob, "room-1-a", "x"), false);
  });
});

describe("requireAdmin", () => {
  it("refuses everyone but admins", () => {
    for (const identity of [alice, runner]) {
      assert.throws(
        () => requireAdmin(identity, "this"),
        (error) => error instanceof TurnaboutError && error.code === "not_allowed",
      );
    }
    requireAdmin(admin, "this");
  });
});
