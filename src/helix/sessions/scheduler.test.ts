import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { chooseInstance } from "./scheduler.ts";
import type { Candidate } from "./scheduler.ts";

function candidate(id: string, more: Partial<Candidate & Candidate["instance"]> = {}): Candidate {
  const { presence = "online", healthy = true, nearlyFull = false, taken = 0, ...instance } = more;
  return {
    presence,
    healthy,
    nearlyFull,
    taken,
    instance: { id, maxSandboxes: 20, gpuVendor: undefined, privileged: false, createdAtMs: 1, ...instance },
  };
}

describe("chooseInstance", () => {
  it("takes the one with the smallest share of its places taken", () => {
    const small = candidate("small", { maxSandboxes: 2, taken: 1 });
    const large = candidate("large", { maxSandboxes: 20, taken: 9 });
    assert.deepEqual(chooseInstance([small, large], {}), { id: "large" });
    assert.deepEqual(chooseInstance([small, { ...large, taken: 11 }], {}), { id: "small" });
  });

  it("gives ties to the older one, and among the equally old to the first name, in any order", () => {
    const all = [
      candidate("b"),
      candidate("a", { createdAtMs: 2 }),
      candidate("c"),
      candidate("ä"),
      candidate("B", { createdAtMs: 3 }),
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), (shuffled) => {
        assert.deepEqual(chooseInstance(shuffled, {}), { id: "b" });
      }),
    );
  });

  it("names the condition that no instance meets", () => {
    const offline = candidate("off", { presence: "offline", gpuVendor: "nvidia", privileged: true });
    const plain = candidate("plain");
    const full = candidate("full", { gpuVendor: "amd", privileged: true, maxSandboxes: 1, taken: 1 });
    const none = candidate("none", { gpuVendor: "intel", maxSandboxes: 0 });
    assert.deepEqual(chooseInstance([], {}), { reason: "no_instance_online", awaited: false });
    assert.deepEqual(chooseInstance([offline], {}), { reason: "no_instance_online", awaited: false });
    assert.deepEqual(chooseInstance([offline, plain], { gpuVendor: "nvidia" }), {
      reason: "no_instance_matches",
      awaited: false,
    });
    assert.deepEqual(chooseInstance([offline, plain], { privileged: true }), {
      reason: "no_instance_matches",
      awaited: false,
    });
    assert.deepEqual(chooseInstance([plain, full], { privileged: true }), {
      reason: "instances_full",
      awaited: false,
    });
    assert.deepEqual(chooseInstance([none], { gpuVendor: "intel" }), {
      reason: "instances_full",
      awaited: false,
    });
    assert.deepEqual(chooseInstance([plain, full], { privileged: false }), { id: "plain" });
  });

  it("takes one whose Wolf is down only where there is no other", () => {
    const down = candidate("down", { healthy: false });
    const busy = candidate("busy", { taken: 19 });
    assert.deepEqual(chooseInstance([down, busy], {}), { id: "busy" });
    assert.deepEqual(chooseInstance([down, { ...busy, taken: 20 }], {}), { id: "down" });
  });

  it("takes one that is nearly full only where no other has room, and before one whose Wolf is down", () => {
    const full = candidate("full", { nearlyFull: true });
    const busy = candidate("busy", { taken: 19 });
    const down = candidate("down", { healthy: false });
    assert.deepEqual(chooseInstance([full, busy, down], {}), { id: "busy" });
    assert.deepEqual(chooseInstance([down, { ...busy, taken: 20 }, full], {}), { id: "full" });
    assert.deepEqual(chooseInstance([down, { ...full, healthy: false }], {}), { id: "down" });
    const fuller = candidate("fuller", { nearlyFull: true, taken: 1 });
    assert.deepEqual(chooseInstance([fuller, full], {}), { id: "full" });
  });

  it("reports whether one that is expected back would fit", () => {
    const away = candidate("away", { presence: "reconnecting", gpuVendor: "amd", maxSandboxes: 1 });
    const full = candidate("full", { taken: 20 });
    for (const [candidates, request, reason, awaited] of [
      [[away], {}, "no_instance_online", true],
      [[{ ...away, taken: 1 }], {}, "no_instance_online", false],
      [[away], { gpuVendor: "nvidia" }, "no_instance_online", false],
      [[away, full], {}, "instances_full", true],
      [[away, full], { gpuVendor: "amd" }, "no_instance_matches", true],
      [[away, full], { privileged: true }, "no_instance_matches", false],
    ] as const) {
      assert.deepEqual(chooseInstance(candidates, request), { reason, awaited });
    }
  });

  it("never gives out a place that is taken", () => {
    const any = fc.record({
      maxSandboxes: fc.nat(5),
      taken: fc.nat(8),
      presence: fc.constantFrom("online" as const, "reconnecting" as const, "offline" as const),
      healthy: fc.boolean(),
      nearlyFull: fc.boolean(),
      createdAtMs: fc.nat(2),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 6 }), (all) => {
        const candidates = all.map((one, i) => candidate(`i${i}`, one));
        const choice = chooseInstance(candidates, {});
        const free = candidates.filter((one) => one.taken < one.instance.maxSandboxes);
        const now = free.filter(({ presence }) => presence === "online");
        if ("reason" in choice) {
          assert.deepEqual(now, []);
          return assert.equal(
            choice.awaited,
            free.some(({ presence }) => presence === "reconnecting"),
          );
        }
        const chosen = now.find(({ instance }) => instance.id === choice.id);
        assert.equal(
          chosen?.healthy,
          now.some(({ healthy }) => healthy),
        );
      }),
    );
  });
});
