/** A header block that a peer has broken off: an HTTP/2 session that ends in the turn of its streams aborts node. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { runChild } from "../support/child.ts";

const script = new URL("broken-header-block.child.ts", import.meta.url);
/** What is collected first is chance: a process without the guard aborts in most runs, and not in every one. */
const RUNS = 8;

it("ends an HTTP/2 session of ours, and not its process", async () => {
  const { code, signal, stderr } = await runChild(script, ["guarded"]);
  assert.deepEqual([code, signal], [0, null], stderr.slice(0, 500));
});

it("aborts a process whose HTTP/2 sessions have no guard", async () => {
  for (let run = 0; run < RUNS; run += 1) {
    const { signal, stderr } = await runChild(script, ["bare"]);
    if (signal === null) continue;
    return assert.match(stderr, /current_nghttp2_memory_/);
  }
  assert.fail("this Node no longer needs the guard");
});
