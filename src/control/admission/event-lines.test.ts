import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EventLines } from "./event-lines.ts";

function read(maxBytes: number, chunks: readonly string[]): string[] {
  const seen: string[] = [];
  const lines = new EventLines(maxBytes, {
    line: (text) => seen.push(text),
    tooLong: () => seen.push("too long"),
  });
  for (const chunk of chunks) lines.push(Buffer.from(chunk, "latin1"));
  return seen;
}

describe("lines of /events", () => {
  it("are whole however they are cut, and the last counts when it has ended", () => {
    assert.deepEqual(read(3, ["a", "b\n\nc", "d\ne"]), ["ab", "", "cd"]);
    assert.deepEqual(read(3, ["\u00c3", "\u00a9\n"]), ["é"]);
  });

  it("are dropped above the limit in bytes, and only they", () => {
    assert.deepEqual(read(3, ["abc\nabcd\nab", "cd", "e", "f\nx\n"]), ["abc", "too long", "too long", "x"]);
    assert.deepEqual(read(3, ["\u00c3\u00a9\u00c3\u00a9\nx\n"]), ["too long", "x"]);
  });
});
