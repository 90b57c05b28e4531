import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { countWork } from "../../../test/support/count-work.ts";
import { GrowingBuffer } from "./growing-buffer.ts";

describe("GrowingBuffer", () => {
  it("has all bytes in order, and is empty once they are taken", () => {
    const buffer = new GrowingBuffer();
    for (const piece of ["a", "", "bc", "d".repeat(1_000)]) buffer.append(Buffer.from(piece));
    assert.equal(buffer.length, 1_003);
    assert.equal(buffer.view().toString(), `abc${"d".repeat(1_000)}`);
    const taken = buffer.take();
    buffer.append(Buffer.from("other"));
    assert.equal(taken.toString(), `abc${"d".repeat(1_000)}`, "what was taken is not written over");
    assert.equal(buffer.take().toString(), "other");
    assert.equal(buffer.length, 0);
  });

  it("copies each byte a constant number of times, however small the pieces are", () => {
    const piece = Buffer.from("x");
    for (const count of [10_000, 100_000]) {
      const buffer = new GrowingBuffer();
      const work = countWork(() => {
        for (let n = 0; n < count; n += 1) buffer.append(piece);
      });
      assert.ok(work < 6 * count, `${work} for ${count} bytes`);
    }
  });
});
