import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { preferredWait, preferredWaitMs, withoutWait } from "./prefer.ts";

describe("Prefer", () => {
  it("is ours in `wait`, and the target's in everything else", () => {
    for (const [value, waitMs, rest] of [
      ["wait=5", 5_000, undefined],
      ["wait=5, return=representation", 5_000, "return=representation"],
      [
        'return=minimal; foo="a, wait=9" , Wait = "7"; x=y,respond-async',
        7_000,
        'return=minimal; foo="a, wait=9", respond-async',
      ],
      ["odata.maxpagesize=5,,  ,wait=1,wait=2", 1_000, "odata.maxpagesize=5"],
      ["wait", 0, undefined],
      ["wait=soon, x", 0, "x"],
      ["waiting=5", 0, "waiting=5"],
      ['x="open, wait=3', 3_000, 'x="open'],
      ["", 0, undefined],
    ] as const) {
      assert.equal(preferredWaitMs({ prefer: value }), waitMs, value);
      assert.equal(withoutWait(value), rest, value);
    }
    assert.equal(preferredWaitMs({}), 0);
    assert.equal(preferredWaitMs({ prefer: ["x", "wait=2"] }), 2_000, "several fields are one list");
    assert.equal(withoutWait(["x", "wait=2", "y"]), "x, y");
  });

  it("can limit the wait to runners that have connected before", () => {
    for (const [value, onlyKnown] of [
      ["wait=30; known", true],
      ["x=1, wait=30;KNOWN ;y=2", true],
      ["wait=30", false],
      ["wait=30; unknown", false],
      ["wait=30, known", false],
      ["x; known, wait=30", false],
    ] as const)
      assert.deepEqual(preferredWait({ prefer: value }), { waitMs: 30_000, onlyKnown }, value);
  });
});
