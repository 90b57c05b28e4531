import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Runner } from "../../src/dashboard/api/types.ts";
import { arrange, prefixOf } from "../../src/dashboard/runners/arrange.ts";
import type { Arrangement } from "../../src/dashboard/runners/arrange.ts";

function runner(id: string, fields: Partial<Runner> = {}): Runner {
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
    connections: [],
    behind: [],
    credential: "host-1",
    ...fields,
  };
}

const RUNNERS = [
  runner("gpu-10", { rttMs: 30 }),
  runner("gpu-2", { state: "gone", rttMs: null }),
  runner("db", { targets: [{ name: "postgres", http: "auto", healthy: false, mayDial: true }] }),
];
const PLAIN: Arrangement = { text: "", filter: "all", sort: "name", isGrouped: false, closed: new Set() };

function names(changes: Partial<Arrangement>): string[] {
  return arrange(RUNNERS, { ...PLAIN, ...changes }).map((row) =>
    row.kind === "group" ? `[${row.prefix} ${row.size} ${row.troubled}]` : row.runner.id,
  );
}

describe("the list of runners", () => {
  it("sorts numbers in names as numbers, and by what else it shows", () => {
    assert.deepEqual(names({}), ["db", "gpu-2", "gpu-10"]);
    assert.deepEqual(names({ sort: "state" }), ["gpu-2", "db", "gpu-10"]);
    assert.deepEqual(names({ sort: "round trip" }), ["gpu-10", "db", "gpu-2"]);
  });

  it("finds every word of the search, in names, targets and states", () => {
    assert.deepEqual(names({ text: "GPU gone" }), ["gpu-2"]);
    assert.deepEqual(names({ text: "postgres" }), ["db"]);
    assert.deepEqual(names({ text: "gpu postgres" }), []);
  });

  it("shows those that need attention: not connected, or with a target that is down", () => {
    assert.deepEqual(names({ filter: "attention" }), ["db", "gpu-2"]);
  });

  it("has a heading for each prefix, with counts, and hides what is closed", () => {
    const closed = new Set(["gpu"]);
    assert.deepEqual(names({ isGrouped: true }), ["[db 1 1]", "db", "[gpu 2 1]", "gpu-2", "gpu-10"]);
    assert.deepEqual(names({ isGrouped: true, closed }), ["[db 1 1]", "db", "[gpu 2 1]"]);
    assert.equal(prefixOf("sandbox-ses_1"), "sandbox");
  });
});
