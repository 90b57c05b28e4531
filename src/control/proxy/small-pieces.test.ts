import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { JOINED_PIECE_BYTES, SMALL_PIECE_BYTES } from "./limits.ts";
import { SmallPieces } from "./small-pieces.ts";

function joined(hasRoom = true) {
  const written: string[] = [];
  const pieces = new SmallPieces((bytes) => {
    written.push(bytes.toString());
    return hasRoom;
  });
  return { written, add: (text: string) => pieces.add(Buffer.from(text)), flush: () => pieces.flush() };
}

describe("SmallPieces", () => {
  it("passes the first at once, and the others of the turn as one, in order", async () => {
    const { written, add } = joined();
    for (const text of ["a", "b", "c", "d"]) add(text);
    assert.deepEqual(written, ["a"]);
    await turn();
    assert.deepEqual(written, ["a", "bcd"]);
    add("e");
    assert.deepEqual(written, ["a", "bcd", "e"]);
    await turn();
    assert.equal(written.length, 3);
  });

  it("passes a large one at once, behind the small ones before it", () => {
    const { written, add } = joined();
    const large = "x".repeat(SMALL_PIECE_BYTES);
    for (const text of ["a", "b", large, "c"]) add(text);
    assert.deepEqual(written, ["a", "b", large]);
  });

  it("holds a bounded number of bytes, and reports a full buffer when it writes", () => {
    const { written, add, flush } = joined(false);
    assert.equal(add("a"), false);
    const results = Array.from({ length: JOINED_PIECE_BYTES }, () => add("b"));
    assert.deepEqual([results.indexOf(false), written.length], [JOINED_PIECE_BYTES - 1, 2]);
    assert.equal(add("c"), true);
    assert.equal(flush(), false);
    assert.equal(flush(), true, "nothing is left");
    assert.deepEqual(written.slice(2), ["c"]);
  });
});
