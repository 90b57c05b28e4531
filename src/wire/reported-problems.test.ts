import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ReportedProblems } from "./reported-problems.ts";

describe("a problem", () => {
  it("is new once, for each subject, until it changes or ends", () => {
    const reported = new ReportedProblems();
    assert.equal(reported.isNew("a", "down"), true);
    assert.equal(reported.isNew("a", "down"), false);
    assert.equal(reported.isNew("b", "down"), true);
    assert.equal(reported.isNew("a", "slow"), true);
    assert.equal(reported.isNew("a", "down"), true);
    assert.equal(reported.isNew("a", ""), false);
    assert.equal(reported.isNew("a", "down"), true);
  });

  it("is new again when its subject was forgotten or not retained", () => {
    const reported = new ReportedProblems();
    for (const subject of ["a", "b", "c"]) reported.isNew(subject, "down");
    reported.forget("a");
    reported.retain(new Set(["a", "b"]));
    assert.deepEqual(
      ["a", "b", "c"].map((subject) => reported.isNew(subject, "down")),
      [true, false, true],
    );
  });
});
