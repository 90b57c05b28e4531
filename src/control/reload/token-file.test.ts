import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hashToken } from "../auth/tokens.ts";
import { parseTokenFile } from "./token-file.ts";

describe("parseTokenFile", () => {
  it("accepts an owner, and refuses one that is not a name", () => {
    const entry = { id: "laptop", kind: "user", token: "x" };
    const [record] = parseTokenFile(JSON.stringify({ tokens: [{ ...entry, owner: "alice" }] }));
    assert.deepEqual(record, {
      id: "laptop",
      kind: "user",
      sha256: hashToken("x"),
      runners: [],
      owner: "alice",
    });
    for (const owner of ["", 1, null, ["alice"]]) {
      assert.throws(
        () => parseTokenFile(JSON.stringify({ tokens: [{ ...entry, owner }] })),
        /entry 0 \(laptop\): "owner" must be a name/,
      );
    }
  });

  for (const [what, entry, message] of [
    ["no object", null, "entry 0: not an object"],
    ["no id", { kind: "user", token: "x" }, 'entry 0: needs an id other than "admin"'],
    ["the id of the admin token", { id: "admin", kind: "user" }, 'entry 0: needs an id other than "admin"'],
    ["an unknown kind", { id: "a", kind: "king" }, "entry 0 (a): kind must be admin, user or runner"],
    [
      "neither token nor hash",
      { id: "a", kind: "user", token: "" },
      'entry 0 (a): needs "sha256" (64 hex digits) or "token"',
    ],
    [
      "a short hash",
      { id: "a", kind: "user", sha256: "ab" },
      'entry 0 (a): needs "sha256" (64 hex digits) or "token"',
    ],
    [
      "a pattern that is no text",
      { id: "a", kind: "runner", token: "x", runners: [1] },
      'entry 0 (a): "runners" must be a list of patterns',
    ],
    [
      "targets that are no list",
      { id: "a", kind: "user", token: "x", targets: "*" },
      'entry 0 (a): "targets" must be a list of patterns',
    ],
  ] as const) {
    it(`refuses an entry with ${what}, and names it without its token`, () => {
      assert.throws(() => parseTokenFile(JSON.stringify({ tokens: [entry] })), {
        message: `token file: ${message}`,
      });
    });
  }

  it("accepts a hash in upper case, and refuses two entries with one id", () => {
    const sha256 = hashToken("x").toUpperCase();
    const entry = {
      id: "a",
      kind: "runner",
      sha256,
      runners: ["wolf-*"],
      targets: ["web"],
      comment: "ignored",
    };
    assert.deepEqual(parseTokenFile(JSON.stringify({ tokens: [entry] })), [
      { id: "a", kind: "runner", sha256: sha256.toLowerCase(), runners: ["wolf-*"], targets: ["web"] },
    ]);
    assert.throws(
      () => parseTokenFile(JSON.stringify({ tokens: [entry, entry] })),
      /two entries have the id a/,
    );
  });
});
