import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_RELAY_DIALS, MAX_RELAYED_CONNECTIONS, RELAYED_CONNECTIONS_PER_AGENT } from "../limits.ts";
import { RelayShares } from "./shares.ts";
import type { Holder } from "./shares.ts";

interface Stand {
  shares: RelayShares;
  /** Names of those that had to go. */
  ended: string[];
  dial: (name: string, holder: Holder) => (() => void) | undefined;
  join: (name: string, holder: Holder) => (() => void) | undefined;
}

function start(): Stand {
  const shares = new RelayShares();
  const ended: string[] = [];
  return {
    shares,
    ended,
    dial: (name, holder) => shares.dial(holder, () => ended.push(name)),
    join: (name, holder) => shares.join(holder, () => ended.push(name)),
  };
}

/** Each has another runner, so that the bound of one agent does not count. */
let runners = 0;
function holder(credential: string, peer = ""): Holder {
  runners += 1;
  return {
    credential,
    agent: `${credential} ${runners}`,
    maxConnections: RELAYED_CONNECTIONS_PER_AGENT,
    peer,
  };
}

describe("the places of a relay", () => {
  it("all go to one credential while no other wants any, and then it loses them until both have as many", () => {
    const { dial, join, ended } = start();
    for (let n = 0; n < MAX_RELAYED_CONNECTIONS; n += 1) assert.ok(join(`large-${n}`, holder("large")));
    assert.equal(join("one more", holder("large")), undefined);
    assert.equal(dial("one more", holder("large")), undefined);
    for (let n = 0; n < MAX_RELAYED_CONNECTIONS / 2; n += 1) {
      const small = holder("small");
      const release = dial("dial", small);
      assert.ok(release !== undefined, String(n));
      release();
      assert.ok(join(`small-${n}`, small));
    }
    assert.equal(dial("one more", holder("small")), undefined);
    assert.equal(ended.length, MAX_RELAYED_CONNECTIONS / 2);
    assert.equal(ended[0], `large-${MAX_RELAYED_CONNECTIONS - 1}`, "the newest first");
    assert.ok(join("third", holder("third")));
  });

  it("are bounded for one agent", () => {
    const { dial, join } = start();
    const agent = holder("a");
    for (let n = 0; n < RELAYED_CONNECTIONS_PER_AGENT; n += 1) assert.ok(join("", agent));
    assert.equal(dial("", agent), undefined);
    assert.ok(dial("", holder("a")));
  });

  it("are given back once", () => {
    const { dial, join } = start();
    const agent = holder("a");
    for (let n = 0; n < 3 * MAX_RELAYED_CONNECTIONS; n += 1) {
      const dialled = dial("", agent);
      assert.ok(dialled !== undefined);
      dialled();
      dialled();
      const joined = join("", agent);
      assert.ok(joined !== undefined);
      joined();
      joined();
    }
  });
});

describe("dials of a relay", () => {
  it("are shared by address, whatever credentials one of them sends", () => {
    const { dial, ended } = start();
    for (let n = 0; n < MAX_RELAY_DIALS; n += 1)
      assert.ok(dial(`many-${n}`, holder(`made-up-${n}`, "10.0.0.1")));
    assert.ok(dial("other", holder("honest", "10.0.0.2")));
    assert.deepEqual(ended, [`many-${MAX_RELAY_DIALS - 1}`]);
    assert.equal(dial("again", holder("made-up", "10.0.0.1")), undefined, "it has the most");
  });

  it("are shared by credential behind one address", () => {
    const { dial, ended } = start();
    for (let n = 0; n < MAX_RELAY_DIALS; n += 1) assert.ok(dial(`many-${n}`, holder("greedy")));
    assert.ok(dial("other", holder("honest")));
    assert.deepEqual(ended, [`many-${MAX_RELAY_DIALS - 1}`]);
    assert.equal(dial("again", holder("greedy")), undefined);
  });
});
