/**
 * Traps: without permanent 'error' listeners on session, stream and carrier, a peer that breaks the protocol or resets
 * ends the process; 'error' can come after 'end', when pipeline() has removed its own; an HTTP/2 session may also stay behind
 * without a sign.
 * Guards: `prepare()` and `established()` in src/wire/session/reversed-session.ts; the permanent listeners wherever a stream or socket is
 * made; src/wire/session/keepalive.ts for whatever says nothing.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runChild } from "../support/child.ts";

const CHILD = new URL("./hostile-peers.child.ts", import.meta.url);

describe("garbage, bad and oversized frames, half frames, GOAWAY, overflows and resets", () => {
  for (const victim of ["control plane", "agent"]) {
    it(`do not end the ${victim}, which serves on`, async () => {
      const { code, signal, stdout, stderr } = await runChild(CHILD, [victim]);
      assert.deepEqual([code, signal, stdout], [0, null, "alive\n"], stderr);
    });
  }
});
