/** Streams to a keep-alive target are taken over by later requests, and a stale one costs no request. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { CALLERS, errorCode, openCaller, via } from "../../support/callers.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import type { RawRequest } from "../../support/raw-target.ts";
import { startSystem } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** A target that closes every idle connection exactly as the next request comes on it: the race that no timeout avoids. */
async function startStaleTarget() {
  const used = new Set<number>();
  return startRawTarget(({ socket, connection }: RawRequest) => {
    if (used.has(connection)) return void socket.resetAndDestroy();
    used.add(connection);
    socket.write(OK);
  });
}

for (const kind of CALLERS) {
  describe(`over ${kind}`, () => {
    it("one connection to the target serves one request after the other", async () => {
      const target = await startRawTarget(({ socket }) => void socket.write(OK));
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      for (let n = 1; n <= 10; n += 1) {
        const { status, text } = await caller.call({ path: via(`/${n}`) });
        assert.deepEqual([status, text], [200, "ok"]);
      }
      assert.deepEqual([target.connections(), target.heads.length], [1, 10]);
    });

    it("a connection that the target closes after each response serves one request", async () => {
      const target = await startRawTarget(({ socket }) => void socket.end(OK));
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      for (let n = 1; n <= 3; n += 1) assert.equal((await caller.call({ path: via("/") })).text, "ok");
      assert.equal(target.heads.length, 3);
    });

    for (const method of ["GET", "HEAD", "OPTIONS"]) {
      it(`${method} is sent again if its connection turns out to be stale`, async () => {
        const target = await startStaleTarget();
        await using system = await startSystem({ tls: true, target });
        await using caller = await openCaller(kind, system);
        await caller.call({ path: via("/first") });
        const { status } = await caller.call({ method, path: via("/second") });
        assert.equal(status, 200);
        const seen = target.heads.map((head) => head.split(" HTTP/")[0]);
        assert.deepEqual(seen, ["GET /first", `${method} /second`, `${method} /second`]);
      });
    }

    for (const [what, method, body] of [
      ["POST", "POST", undefined],
      ["POST with a body", "POST", "x"],
      ["GET with a body", "GET", "x"],
      ["DELETE", "DELETE", undefined],
    ] as const) {
      it(`${what} is never sent again: it may have had its effect`, async () => {
        const target = await startStaleTarget();
        await using system = await startSystem({ tls: true, target });
        await using caller = await openCaller(kind, system);
        await caller.call({ path: via("/first") });
        const { status, text } = await caller.call({
          method,
          path: via("/second"),
          ...(body !== undefined && { body }),
        });
        assert.deepEqual([status, errorCode(text)], [502, "target_closed"]);
        assert.equal(target.heads.filter((head) => head.includes("/second")).length, 1);
      });
    }

    it("a target that closes on every request is not retried without end", async () => {
      const target = await startRawTarget(({ socket }) => void socket.resetAndDestroy());
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const { status, text } = await caller.call({ path: via("/") });
      assert.deepEqual([status, errorCode(text)], [502, "target_closed"]);
      assert.equal(target.heads.length, 1); // a fresh connection is not stale
    });
  });
}
