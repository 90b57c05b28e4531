/** A header block that a peer has broken off: node aborts if garbage collection frees its session before its stream. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runChild } from "../support/child.ts";

const script = new URL("broken-header-block.child.ts", import.meta.url);
const BARE = [
  ["client", "socket", "turn"],
  ["server", "socket", "turn"],
  ["client", "socket", "write"],
  ["server", "socket", "write"],
  ["client", "duplex", "write"],
  ["server", "duplex", "write"],
] as const;

it("ends an HTTP/2 session of ours, and not its process, and leaves no session behind", async () => {
  const { code, signal, stderr } = await runChild(script, ["guarded"]);
  assert.deepEqual([code, signal], [0, null], stderr.slice(0, 500));
});

describe("aborts a process whose HTTP/2 sessions have no guard", { concurrency: 2 }, () => {
  for (const way of BARE) {
    it(way.join(", "), async () => {
      const { signal, stderr } = await runChild(script, ["bare", ...way]);
      assert.equal(signal, "SIGABRT", `this Node no longer needs the guard: ${stderr.slice(0, 500)}`);
      assert.match(stderr, /current_nghttp2_memory_/);
    });
  }
});
