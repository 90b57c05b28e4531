import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { countWork } from "../../../test/support/count-work.ts";
import { LineSplitter } from "./line-splitter.ts";

function read(maxBytes: number, chunks: readonly string[], isEnded = false): string[] {
  const seen: string[] = [];
  const lines = new LineSplitter(maxBytes, {
    line: (text) => seen.push(text),
    tooLong: () => seen.push("too long"),
  });
  for (const chunk of chunks) lines.push(Buffer.from(chunk, "latin1"));
  if (isEnded) lines.end();
  return seen;
}

describe("LineSplitter", () => {
  it("gives whole lines however they are cut, and the last one when it has ended", () => {
    assert.deepEqual(read(3, ["a", "b\n\nc", "d\ne"]), ["ab", "", "cd"]);
    assert.deepEqual(read(3, ["\u00c3", "\u00a9\n"]), ["é"]);
  });

  it("drops lines above the limit in bytes, and only those", () => {
    assert.deepEqual(read(3, ["abc\nabcd\nab", "cd", "e", "f\nx\n"]), ["abc", "too long", "too long", "x"]);
    assert.deepEqual(read(3, ["\u00c3\u00a9\u00c3\u00a9\nx\n"]), ["too long", "x"]);
  });

  it("takes what follows the last line end for a line at the end, unless it is nothing or too long", () => {
    assert.deepEqual(read(3, ["a\r\nb"], true), ["a", "b"]);
    assert.deepEqual(read(3, ["a\n"], true), ["a"]);
    assert.deepEqual(read(3, ["abcd"], true), ["too long"]);
  });

  it("does a constant amount of work for each byte, in pieces of one byte and in one piece of many lines", () => {
    const bytes = Buffer.from(`${"x\n".repeat(5_000)}${"y".repeat(20_000)}`);
    const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
    const lines = new LineSplitter(100_000, { line: () => {}, tooLong: () => assert.fail() });
    const work = countWork(() => {
      for (const piece of single) lines.push(piece);
    });
    assert.ok(work < 10 * bytes.length, `${work} for ${bytes.length} bytes`);
  });
});
