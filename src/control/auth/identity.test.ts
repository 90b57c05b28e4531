import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createIdentity, isNarrowed, matchesPattern } from "./identity.ts";
import type { Grant } from "./identity.ts";

describe("matchesPattern", () => {
  it("takes * for any run of characters and everything else as it is", () => {
    for (const [pattern, value, expected] of [
      ["wolf-a", "wolf-a", true],
      ["wolf-a", "wolf-ab", false],
      ["*", "", true],
      ["*", "anything", true],
      ["wolf-*", "wolf-", true],
      ["wolf-*", "wolf-1", true],
      ["wolf-*", "a-wolf-1", false],
      ["*-1", "wolf-1", true],
      ["*-1", "wolf-11", false],
      ["a*a", "a", false],
      ["a*a", "aa", true],
      ["a*b*c", "abc", true],
      ["a*b*c", "acb", false],
      ["a*bc*bc", "abc", false],
      ["a.c", "abc", false],
      ["", "", true],
      ["", "a", false],
      ["**", "a", true],
    ] as const) {
      assert.equal(matchesPattern(pattern, value), expected, `${pattern} ${value}`);
    }
  });

  it("agrees with the regular expression that it stands for", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "*", "."), maxLength: 8 });
    const value = fc.string({ unit: fc.constantFrom("a", "b", "."), maxLength: 10 });
    fc.assert(
      fc.property(text, value, (pattern, value) => {
        const source = pattern.replaceAll(".", String.raw`\.`).replaceAll("*", ".*");
        assert.equal(matchesPattern(pattern, value), new RegExp(`^${source}$`).test(value));
      }),
      { numRuns: 2_000 },
    );
  });

  it("takes no longer for many stars", () => {
    const startedAt = performance.now();
    assert.equal(matchesPattern(`${"*a".repeat(64)}b`, "a".repeat(128)), false);
    assert.ok(performance.now() - startedAt < 10_000, "a regular expression would not end");
  });
});

describe("an identity", () => {
  it("registers or dials by its kind: a runner token dials nothing, a user token registers nothing", () => {
    const grant = { runners: ["wolf-*"], targets: ["wolf"] };
    const runner = createIdentity("r", "h", { kind: "runner", ...grant });
    const user = createIdentity("u", "h", { kind: "user", ...grant });
    const admin = createIdentity("a", "h", { kind: "admin", runners: [] });
    assert.deepEqual(
      [runner, user, admin].map((one) => [one.mayRegister("wolf-1"), one.mayDial("wolf-1", "wolf")]),
      [
        [true, false],
        [false, true],
        [true, true],
      ],
    );
    assert.deepEqual([runner.mayRegister("moon-1"), user.mayDial("wolf-1", "moonlight")], [false, false]);
    assert.deepEqual([runner.owner, user.owner, admin.owner], [undefined, "u", undefined]);
    assert.deepEqual(
      [runner, user, admin].map(({ mayAdminister }) => mayAdminister),
      [false, false, true],
    );
  });

  it("is narrowed by everything that takes something away", () => {
    const before: Grant = { kind: "user", runners: ["a", "b"], targets: ["x", "y"], owner: "alice" };
    const is = (now: Partial<Grant>, was: Partial<Grant> = {}) =>
      isNarrowed(
        createIdentity("i", "h", { ...before, ...now }),
        createIdentity("i", "h", { ...before, ...was }),
      );
    assert.equal(is({}), false);
    assert.equal(is({ runners: ["b", "a", "c"] }), false);
    assert.equal(is({ targets: undefined }), false);
    assert.equal(is({ targets: ["z", "y", "x"] }), false);
    assert.equal(is({ kind: "admin", runners: [], owner: undefined }), false, "an admin may do everything");
    assert.equal(is({ runners: ["a"] }), true);
    assert.equal(is({ targets: ["x"] }), true);
    assert.equal(is({ owner: "bob" }), true);
    assert.equal(is({ kind: "runner" }), true);
    assert.equal(is({ targets: ["x"] }, { targets: undefined }), true);
    assert.equal(is({}, { kind: "admin" }), true);
  });
});
