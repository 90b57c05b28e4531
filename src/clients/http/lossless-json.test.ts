/** JSON whose 64-bit ids survive. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseJson } from "./lossless-json.ts";

test("keeps the digits of an integer that a number cannot hold, and nothing else", () => {
  const text = `{"id":18446744073709551615,"low":-9007199254740993,"safe":9007199254740991,"exp":1e300,"half":0.5,"in":[9007199254740992],"text":"1"}`;
  assert.deepEqual(parseJson(text), {
    id: "18446744073709551615",
    low: "-9007199254740993",
    safe: 9007199254740991,
    exp: 1e300,
    half: 0.5,
    in: ["9007199254740992"],
    text: "1",
  });
  assert.equal(parseJson("null"), null);
  assert.throws(() => parseJson("{"), SyntaxError);
});
