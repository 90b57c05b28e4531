import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Guard } from "./guard.ts";

describe("a guard", () => {
  it("hands an exception to the first step", () => {
    const seen: string[] = [];
    const guard = new Guard(
      (error) => seen.push(`response ${error.message}`),
      () => seen.push("reset"),
    );
    guard.run(() => {
      throw new Error("bad field");
    });
    assert.deepEqual(seen, ["response bad field"]);
  });

  it("takes the next step where one throws, and drops what the last one throws", () => {
    const seen: string[] = [];
    const guard = new Guard(
      () => {
        throw new Error("cannot respond");
      },
      (error) => {
        seen.push(error.message);
        throw new Error("cannot reset");
      },
    );
    guard.fail(new Error("bad field"));
    assert.deepEqual(seen, ["bad field"]);
  });

  it("catches what an asynchronous callback rejects with, and what is no Error", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const guard = new Guard((error) => resolve(error.message));
    guard.wrap(async (text: string) => Promise.reject(text as unknown as Error))("a string");
    assert.equal(await promise, "a string");
  });
});
