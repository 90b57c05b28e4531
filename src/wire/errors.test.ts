import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { joinReasons, withoutFullStop } from "./errors.ts";

describe("joinReasons", () => {
  it("makes one sentence of several", () => {
    assert.equal(
      joinReasons(["The request is malformed.", "status: use 404,5xx", "Try again."]),
      "The request is malformed; status: use 404,5xx; Try again.",
    );
    assert.equal(joinReasons(["One alone."]), "One alone.");
    assert.equal(joinReasons([]), "");
  });

  it("keeps an ellipsis, which is no full stop", () => {
    assert.equal(withoutFullStop("and so on..."), "and so on...");
  });
});
