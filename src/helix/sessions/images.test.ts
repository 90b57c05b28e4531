import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { TurnaboutError } from "../../wire/errors.ts";
import { createIdentity } from "../../control/auth/identity.ts";
import { ImageRules, isImageReference } from "./images.ts";

const user = createIdentity("alice", "x", { kind: "user", runners: [] });
const admin = createIdentity("ops", "y", { kind: "admin", runners: [] });

function refusal(rules: ImageRules, identity: typeof user, image: string | undefined): string | undefined {
  try {
    rules.check(identity, image);
    return undefined;
  } catch (error) {
    return (error as TurnaboutError).code;
  }
}

describe("an image reference", () => {
  it("is what container engines take", () => {
    for (const image of [
      "a",
      "turnabout-sandbox:latest",
      "mine:1",
      "library/debian:12",
      "localhost:5000/a/b__c/d-e.f:v1.2_3-x",
      "Registry.Example.com/x",
      "[::1]:5000/x",
      `x@sha256:${"a".repeat(64)}`,
      `registry.example/x:1@sha256:${"0".repeat(64)}`,
    ]) {
      assert.ok(isImageReference(image), image);
    }
  });

  it("is nothing else", () => {
    for (const image of [
      "",
      "x y; rm -rf /",
      "x ",
      "x\n",
      "Upper",
      "-x",
      "--privileged",
      "/x",
      "x/",
      "a//b",
      "a___b/c..d",
      "x:",
      "x:.tag",
      `x:${"t".repeat(129)}`,
      "x@sha256:abc",
      "http://x/y",
      "../x",
      "a".repeat(256),
      `$(id)`,
    ]) {
      assert.ok(!isImageReference(image), image);
    }
  });

  it("is decided at once, whatever it is", () => {
    const hostile = fc.array(fc.constantFrom("a", "-", "_", ".", "/", ":", "@", "A", "__"), {
      maxLength: 1_000,
    });
    fc.assert(fc.property(hostile, (parts) => void isImageReference(parts.join(""))));
    for (const part of ["a-", "a_", "a.", "-", "a", "a/", "A-"]) isImageReference(`${part.repeat(500)}!`);
  });
});

describe("the image of a session", () => {
  it("is the operator's choice for users, and anything for an admin", () => {
    const plain = new ImageRules("sandbox:1");
    const open = new ImageRules("sandbox:1", ["registry.example/desktops/*", "other:2"]);
    for (const [rules, identity, image, code] of [
      [plain, user, undefined, undefined],
      [plain, user, "sandbox:1", undefined],
      [plain, user, "sandbox:2", "not_allowed"],
      [plain, admin, "sandbox:2", undefined],
      [plain, admin, "x y; rm -rf /", "bad_request"],
      [open, user, "registry.example/desktops/sway:3", undefined],
      [open, user, "registry.example/other/sway:3", "not_allowed"],
      [open, user, "registry.example/desktops/x y", "bad_request"],
      [open, user, "other:2", undefined],
      [open, user, "other:20", "not_allowed"],
    ] as const) {
      assert.equal(refusal(rules, identity, image), code, String(image));
    }
  });

  it("has a default that is a reference", () => {
    assert.throws(() => new ImageRules("not an image"), /sandbox image "not an image"/);
  });
});
