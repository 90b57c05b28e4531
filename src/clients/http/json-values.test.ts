/** JSON values out of pieces, wherever these are cut. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { countWork } from "../../../test/support/count-work.ts";
import { JsonValueReader, jsonValues, parseJsonValues } from "./json-values.ts";
import { parseJson } from "./lossless-json.ts";

/** A body that comes in pieces. What has been read is to be seen from outside. */
class Body {
  readonly #pieces: readonly Buffer[];
  taken = 0;

  constructor(pieces: readonly (string | Buffer)[]) {
    this.#pieces = pieces.map((piece) => Buffer.from(piece as string));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    for (const piece of this.#pieces) {
      this.taken += 1;
      yield piece;
    }
  }
}

async function read(pieces: readonly (string | Buffer)[], maxBytes = 1_000_000): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const value of jsonValues(new Body(pieces), maxBytes, "test")) values.push(value);
  return values;
}

const PROTOCOL = { name: "TurnaboutError", code: "target_protocol" };

describe("jsonValues", () => {
  it("gives each value with its last byte: what follows is not read before", async () => {
    for (const first of ['{"Pin":"1234"}', '"PairError"', "[[]]", '{"a":"}\\"{"}']) {
      const body = new Body([first, "\n", '{"Paired":{}}']);
      const values = jsonValues(body, 100, "test");
      assert.deepEqual((await values.next()).value, JSON.parse(first));
      assert.equal(body.taken, 1, first);
      assert.deepEqual((await values.next()).value, { Paired: {} });
      assert.equal((await values.next()).done, true);
    }
  });

  it("gives the same values wherever the bytes are cut, inside characters too, and with or without a line feed", async () => {
    const containers = fc.oneof(fc.array(fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue()));
    const value = fc.oneof(containers, fc.string({ unit: "grapheme" }));
    const separator = fc.constantFrom("", "\n", "\r\n", " \t");
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(value, separator), { maxLength: 5 }),
        fc.array(fc.nat(400), { maxLength: 30 }),
        async (expected, cuts) => {
          const text = expected.map(([one, between]) => JSON.stringify(one) + between).join("");
          const bytes = Buffer.from(text);
          const places = [...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length];
          places.sort((a, b) => a - b);
          const pieces = places.map((end, index) => bytes.subarray(places[index - 1] ?? 0, end));
          const whole = expected.map(([one]) => parseJson(JSON.stringify(one)));
          assert.deepEqual(await read(pieces), whole);
          assert.deepEqual(parseJsonValues(bytes, "test"), whole);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("takes a number or a literal for complete with what follows it, or at the end", async () => {
    assert.deepEqual(await read(["1", "2 tr", 'ue{"a":null}fal', "se[1]-1.5e", "3"]), [
      12,
      true,
      { a: null },
      false,
      [1],
      -1500,
    ]);
    assert.deepEqual(await read(["18446744073709551615"]), ["18446744073709551615"], "every digit is kept");
    assert.deepEqual(await read(["", " \r\n"]), []);
  });

  it("refuses what is not JSON, as soon as it is seen", async () => {
    for (const text of ["<html>", "Internal Server Error", "{]", "{'a':1}", "nul ", "]", ",", "\uFEFF{}"]) {
      const body = new Body([text, "never read"]);
      const values = jsonValues(body, 1_000, "moonlight");
      await assert.rejects(
        values.next(),
        { ...PROTOCOL, message: "moonlight: the response is not JSON" },
        text,
      );
      assert.equal(body.taken, 1, text);
    }
    for (const text of ['{"a":1', '"a', "tru", "[1,"]) await assert.rejects(read([text]), PROTOCOL, text);
    await assert.rejects(read([Buffer.from([0x22, 0xc3, 0x22])]), PROTOCOL, "not UTF-8");
  });

  it("reads no more than it may in all, of blanks too", async () => {
    assert.deepEqual(await read(["[1]", "[2]"], 6), [[1], [2]]);
    for (const pieces of [
      ["[1]", "[23]"],
      ["[", "1, 2, 3"],
      ["    ", "   "],
      ['"', "x".repeat(6)],
    ]) {
      await assert.rejects(read(pieces, 6), { ...PROTOCOL, message: "test: more than 6 bytes" });
    }
  });

  it("does a constant amount of work for each byte, in pieces of one byte", () => {
    const bytes = Buffer.from(`{"a":"${"x".repeat(4_000)}"}`.repeat(2));
    const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
    const reader = new JsonValueReader(bytes.length, "test");
    let values = 0;
    const work = countWork(() => {
      for (const piece of single) values += [...reader.push(piece)].length;
    });
    assert.equal(values, 2);
    assert.ok(work < 10 * bytes.length, `${work} for ${bytes.length} bytes`);
  });
});
