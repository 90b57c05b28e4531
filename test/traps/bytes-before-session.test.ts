/** Bytes that a socket has read before its HTTP/2 session: node passes them to a session that has ended, and throws. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { runChild } from "../support/child.ts";

const script = new URL("bytes-before-session.child.ts", import.meta.url);

for (const role of ["client", "server"]) {
  it(`${role}: the guarded session ends, and not its process`, async () => {
    const { code, signal, stderr } = await runChild(script, [role, "guarded"]);
    assert.deepEqual([code, signal], [0, null], stderr.slice(0, 500));
  });

  it(`${role}: without the guard the process ends`, async () => {
    const { code, stderr } = await runChild(script, [role]);
    assert.notEqual(code, 0, "this Node no longer needs the guard");
    assert.match(stderr, /reading 'receive'/);
  });
}
