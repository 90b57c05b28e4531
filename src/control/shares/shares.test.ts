import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TurnaboutError } from "../../wire/errors.ts";
import { addressHolder, credentialHolder, SELF } from "./holders.ts";
import { Counts, shareLeft, Shares, targetStreamsLeft } from "./shares.ts";
import type { ShareBounds } from "./shares.ts";

/** How many places each holder gets, one after the other, of so many in total. */
function placesOf(holders: readonly string[], total: number): number[] {
  let free = total;
  return holders.map((holder) => {
    let held = 0;
    while (shareLeft(holder, held, free) > 0) {
      held += 1;
      free -= 1;
    }
    return held;
  });
}

function shares(bounds: Partial<ShareBounds> = {}): Shares {
  return new Shares({ what: "places", perHolder: 100, perOperator: 100, total: 16, ...bounds });
}

function codeOf(take: () => unknown): string {
  try {
    take();
    return "taken";
  } catch (error) {
    return error instanceof TurnaboutError ? error.code : "?";
  }
}

describe("a share of what is free", () => {
  it("is nearly all for one alone, and leaves room for the next ones", () => {
    assert.deepEqual(placesOf(["user a"], 512), [448]);
    assert.deepEqual(placesOf(["user a", "user b", "user c"], 512), [448, 56, 7]);
    assert.deepEqual(placesOf(["admin x", "user b"], 512), [496, 14]);
  });

  it("is the same for holders that take in turn", () => {
    const held = { "user a": 0, "user b": 0 };
    let free = 512;
    for (let took = true; took;) {
      took = false;
      for (const holder of ["user a", "user b"] as const) {
        if (shareLeft(holder, held[holder], free) === 0) continue;
        held[holder] += 1;
        free -= 1;
        took = true;
      }
    }
    assert.deepEqual(Object.values(held), [239, 239]);
  });

  it("lets one holder have all where there is hardly anything", () => {
    assert.deepEqual(
      [1, 2, 3].map((total) => placesOf(["user a"], total)[0]),
      [1, 2, 3],
    );
  });

  it("says how many may be taken at once", () => {
    assert.equal(shareLeft("user a", 0, 512), 448);
    assert.equal(shareLeft("user a", 447, 65), 1);
    assert.equal(shareLeft("user a", 448, 64), 0);
    assert.equal(shareLeft("user a", 5, -3), 0);
    assert.equal(shareLeft(SELF, 1_000, 12), 12);
  });
});

describe("a share of a target's streams", () => {
  it("is 512 for one alone of an agent that takes 586, and leaves room for others", () => {
    for (const holder of ["user a", "admin x"]) assert.equal(targetStreamsLeft(holder, 0, 586), 512, holder);
    assert.equal(targetStreamsLeft("user b", 0, 586 - 512), 65);
    assert.equal(targetStreamsLeft("admin x", 512, 10_000), 0);
    assert.equal(targetStreamsLeft("admin x", 513, 10_000), 0);
    assert.equal(targetStreamsLeft(SELF, 1_000, 12), 12);
  });

  it("is less of an agent that takes 512", () => {
    assert.equal(targetStreamsLeft("user a", 0, 512), 448);
    assert.equal(targetStreamsLeft("admin x", 0, 512), 496);
  });
});

describe("places", () => {
  it("are refused to one that has its share, and not to another", () => {
    let refused = 0;
    const places = shares({ onRefused: () => (refused += 1) });
    while (codeOf(() => places.take("user a")) === "taken");
    assert.equal(places.total, 14);
    assert.equal(
      codeOf(() => places.take("user a")),
      "share_exceeded",
    );
    assert.equal(
      codeOf(() => places.take("user b")),
      "taken",
    );
    assert.equal(
      codeOf(() => places.take("user c")),
      "taken",
    );
    assert.equal(
      codeOf(() => places.take("user d")),
      "overloaded",
    );
    assert.equal(refused, 3);
  });

  it("have a bound for each holder, another for an admin, and none for the process itself", () => {
    const places = shares({ perHolder: 1, perOperator: 2 });
    places.take("user a");
    assert.equal(
      codeOf(() => places.take("user a")),
      "share_exceeded",
    );
    for (let n = 0; n < 2; n += 1) places.take("admin a");
    assert.equal(
      codeOf(() => places.take("admin a")),
      "share_exceeded",
    );
    while (codeOf(() => places.take(SELF)) === "taken");
    assert.equal(places.total, 16);
  });

  it("are given back once, however often that is called", () => {
    const places = shares();
    const [first, second] = [places.take("user a"), places.take("user a")];
    first();
    first();
    assert.equal(places.total, 1);
    second();
    assert.equal(places.total, 0);
    for (let n = 0; n < 100; n += 1) places.take("user a")();
    assert.equal(places.total, 0);
  });

  it("are counted by several keys at once", () => {
    const counts = new Counts();
    const release = counts.take(["x", "x y"]);
    counts.take(["x"]);
    assert.deepEqual([counts.of("x"), counts.of("x y"), counts.of("z")], [2, 1, 0]);
    release();
    release();
    assert.deepEqual([counts.of("x"), counts.of("x y")], [1, 0]);
  });
});

describe("a holder", () => {
  it("is a user with all credentials, and any other credential by itself", () => {
    assert.equal(credentialHolder({ id: "laptop", kind: "user", owner: "alice" }), "user alice");
    assert.equal(credentialHolder({ id: "phone", kind: "user", owner: "alice" }), "user alice");
    assert.equal(credentialHolder({ id: "alice", kind: "runner", owner: undefined }), "runner alice");
  });

  it("is an IPv4 address, or the /64 of an IPv6 address", () => {
    const holders = {
      "192.0.2.1": "192.0.2.1",
      "::ffff:192.0.2.1": "192.0.2.1",
      "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
      "2001:db8:1:2::1": "2001:db8:1:2::/64",
      "2001:db8::1": "2001:db8:0:0::/64",
      "::1": "0:0:0:0::/64",
      "64:ff9b::192.0.2.1": "64:ff9b:0:0::/64",
      "fe80::1%eth0": "fe80:0:0:0::/64",
      unknown: "unknown",
    };
    for (const [address, holder] of Object.entries(holders))
      assert.equal(addressHolder(address), holder, address);
  });
});
