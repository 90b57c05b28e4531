import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Runner } from "../../src/dashboard/api/types.ts";
import { layoutOf } from "../../src/dashboard/overview/topology-layout.ts";

const MAX_ROWS = 4;

function runner(id: string, fields: Partial<Runner> = {}): Runner {
  const connection = {
    id: `c-${id}`,
    carrier: "rh2" as const,
    since: "2026-01-01T00:00:00.000Z",
    rttMs: 1,
    peer: "192.0.2.1",
    streams: 0,
    draining: false,
    credential: "host-1",
    version: "0.1.0",
    bytes: 0,
  };
  return {
    id,
    state: "connected",
    since: "2026-01-01T00:00:00.000Z",
    carrier: "rh2",
    version: "0.1.0",
    rttMs: 1,
    discovered: false,
    bootEpoch: null,
    waitingDials: 0,
    targets: [{ name: "web", http: "auto", healthy: true, mayDial: true }],
    connections: [connection],
    behind: [],
    credential: "host-1",
    ...fields,
  };
}

describe("the picture of the topology", () => {
  it("has a row for each of a few runners, beside their agents", () => {
    const { agents, runners, targets } = layoutOf(
      [runner("b"), runner("a"), runner("c", { state: "gone", connections: [] })],
      new Map(),
      MAX_ROWS,
    );
    assert.deepEqual(
      agents.map(({ title, health }) => `${title} ${health}`),
      ["host-1 @ 192.0.2.1 ok", "not connected bad"],
    );
    assert.deepEqual(
      runners.map(({ title, runner: id }) => `${title} ${id}`),
      ["a a", "b b", "c c"],
    );
    assert.equal(new Set(targets.map(({ y }) => y)).size, 3);
  });

  it("has groups by prefix for many, and as many rows as are allowed", () => {
    const many = Array.from({ length: 5_000 }, (_, n) => runner(`p${n % 40}-${n}`));
    const { runners, agents, height } = layoutOf(many, new Map(), MAX_ROWS);
    assert.equal(runners.length, MAX_ROWS);
    assert.equal(runners.at(-1)?.title, "others");
    assert.ok(agents.length <= MAX_ROWS && height < 1_000);
  });

  it("shows traffic as flow, also where no stream is open when one looks", () => {
    const { toRunners } = layoutOf([runner("a"), runner("b")], new Map([["a", 50_000]]), MAX_ROWS);
    assert.deepEqual(
      toRunners.map(({ isFlowing }) => isFlowing),
      [true, false],
    );
  });

  it("is bad for a target that is down, and not for its runner", () => {
    const down = runner("a", { targets: [{ name: "web", http: "auto", healthy: false, mayDial: true }] });
    const { runners, targets } = layoutOf([down], new Map(), MAX_ROWS);
    assert.equal(runners[0]?.health, "ok");
    assert.equal(targets[0]?.health, "bad");
  });
});
