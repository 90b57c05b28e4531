/** Lines out of pieces, wherever these are cut. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { lines } from "./lines.ts";

async function* pieces(all: readonly Buffer[]): AsyncGenerator<Buffer, void, undefined> {
  yield* all;
}

async function split(all: readonly Buffer[], maxBytes = 1_000): Promise<string[]> {
  const out: string[] = [];
  for await (const line of lines(pieces(all), maxBytes, "test")) out.push(line);
  return out;
}

test("splits the same lines, wherever the pieces are cut", async () => {
  const line = fc.string({ unit: "grapheme" }).map((text) => text.replaceAll(/[\r\n]/g, "·"));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(line, fc.constantFrom("\n", "\r\n"))),
      fc.array(fc.nat(500), { maxLength: 20 }),
      async (expected, cuts) => {
        const bytes = Buffer.from(expected.flat().join(""));
        const places = [
          0,
          ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b),
          bytes.length,
        ];
        const cut = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
        assert.deepEqual(
          await split(cut, 100_000),
          expected.map(([text]) => text),
        );
      },
    ),
  );
});

test("takes what follows the last line end for a line, unless it is nothing", async () => {
  assert.deepEqual(await split([Buffer.from("a\nb")]), ["a", "b"]);
  assert.deepEqual(await split([Buffer.from("a\n\n")]), ["a", ""]);
  assert.deepEqual(await split([]), []);
});

test("keeps no more than one line may have", async () => {
  const long = Array.from({ length: 20 }, () => Buffer.alloc(10, "x"));
  await assert.rejects(split(long, 100), { name: "TurnaboutError", code: "target_protocol" });
  await assert.rejects(split([Buffer.from(`${"x".repeat(101)}\n`)], 100), { code: "target_protocol" });
  assert.equal((await split([Buffer.from(`${"x".repeat(100)}\n`)], 100)).length, 1);
});
