import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { TurnaboutError } from "../errors.ts";
import { MAX_RUNNER_ID_LENGTH, MAX_TARGET_NAME_LENGTH } from "../limits.ts";
import {
  formatAuthority,
  isRunnerId,
  isTargetName,
  parseAuthority,
  parseRunnerId,
  parseTargetName,
} from "./names.ts";

const name = (maxLength: number) =>
  fc.string({
    unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz0123456789_-".split("")),
    minLength: 1,
    maxLength,
  });
const destination = fc.record(
  { runner: name(MAX_RUNNER_ID_LENGTH), target: name(MAX_TARGET_NAME_LENGTH) },
  { noNullPrototype: true },
);

describe("an authority", () => {
  it("gives back the destination that it was made of", () => {
    fc.assert(
      fc.property(destination, (value) => {
        assert.deepEqual(parseAuthority(formatAuthority(value)), value);
      }),
    );
  });

  it("may carry a port and capital letters, as forward-proxy callers write them", () => {
    fc.assert(
      fc.property(destination, fc.nat(65_535), (value, port) => {
        assert.deepEqual(parseAuthority(`${formatAuthority(value).toUpperCase()}:${port}`), value);
      }),
    );
  });

  it("is undefined for anything else, and never throws", () => {
    for (const text of [
      "",
      "wolf",
      ".wolf",
      "wolf.",
      "a.b.c",
      "a b.c",
      "a.b:",
      "a.b:x",
      "a.b:65536",
      "a.b:99999",
      "a.b:-1",
      "[::1].a",
      "a.b/c",
      "é.b",
    ]) {
      assert.equal(parseAuthority(text), undefined, text);
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = parseAuthority(text);
        assert.ok(parsed === undefined || (isRunnerId(parsed.runner) && isTargetName(parsed.target)));
      }),
    );
  });

  it("is undefined for names that are too long", () => {
    assert.equal(parseAuthority(`wolf.${"r".repeat(MAX_RUNNER_ID_LENGTH + 1)}`), undefined);
    assert.equal(parseAuthority(`${"t".repeat(MAX_TARGET_NAME_LENGTH + 1)}.r`), undefined);
  });
});

describe("a name in a configuration", () => {
  it("is returned as it is, or refused with the offending text", () => {
    for (const parse of [parseRunnerId, parseTargetName]) {
      assert.equal(parse("wolf-us_1"), "wolf-us_1");
      for (const bad of ["", "Wolf", "wolf.1", "wolf 1", "wölf", "a\n"]) {
        assert.throws(
          () => parse(bad),
          (error) =>
            error instanceof TurnaboutError &&
            error.code === "config_invalid" &&
            error.message.includes(JSON.stringify(bad)),
        );
      }
    }
  });
});
