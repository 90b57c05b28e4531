import assert from "node:assert/strict";
import { it } from "node:test";
import { MAX_PLACE_KEYS } from "./limits.ts";
import { placeKeys } from "./place-keys.ts";

it("keys of places are joined once for each caller at a target, and are kept for a bounded number", () => {
  const first = placeKeys("user a", { runner: "r", target: "t" });
  assert.deepEqual(first.all, ["t.r", "t.r user a", "caller user a", "all"]);
  assert.equal(placeKeys("user a", { runner: "r", target: "t" }), first);
  for (const other of [
    placeKeys("user b", { runner: "r", target: "t" }),
    placeKeys("user a", { runner: "t", target: "r" }),
  ])
    assert.notDeepEqual(other.all, first.all);
  for (let n = 0; n <= MAX_PLACE_KEYS; n += 1) placeKeys(`user ${n}`, { runner: "r", target: "t" });
  const again = placeKeys("user a", { runner: "r", target: "t" });
  assert.notEqual(again, first, "all are kept");
  assert.deepEqual(again, first);
});
