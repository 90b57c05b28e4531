import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { parseGoaway } from "./goaway.ts";

describe("the reason in a GOAWAY", () => {
  it("is read from our own debug data", () => {
    const data = Buffer.from('{"reason":"replaced","message":"a newer agent"}');
    assert.deepEqual(parseGoaway(data), { reason: "replaced", message: "a newer agent" });
    assert.deepEqual(parseGoaway(Buffer.from('{"reason":"kicked"}')), { reason: "kicked", message: "" });
  });

  it("is undefined where there is none, and bounded where it is long", () => {
    for (const text of [
      "",
      "null",
      "1",
      "[]",
      '{"reason":"other"}',
      '{"reason":1}',
      "{",
      "x".repeat(5_000),
    ]) {
      assert.equal(parseGoaway(Buffer.from(text)), undefined, text);
    }
    assert.equal(parseGoaway(undefined), undefined);
    const long = JSON.stringify({ reason: "refused", message: "x".repeat(2_000) });
    assert.equal(parseGoaway(Buffer.from(long))?.message.length, 400);
  });

  it("never throws, whatever the peer sends", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (data) => void parseGoaway(data)));
    fc.assert(fc.property(fc.json(), (text) => void parseGoaway(Buffer.from(text))));
  });

  it("takes a spread of reconnects only where it is a number of milliseconds within bounds", () => {
    const spread = (value: unknown) =>
      parseGoaway(Buffer.from(JSON.stringify({ reason: "draining", reconnectSpreadMs: value })))
        ?.reconnectSpreadMs;
    assert.equal(spread(0), 0);
    assert.equal(spread(8_000), 8_000);
    for (const wrong of [-1, 1.5, 1e300, "8000", null, [], 60_001]) assert.equal(spread(wrong), undefined);
  });
});
