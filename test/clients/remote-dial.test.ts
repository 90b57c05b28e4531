/** Dialling by CONNECT from another process, as it were: ends, resets and refusals are what they are in the tunnel. */
import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { afterEach, describe, test } from "node:test";
import { readFile } from "node:fs/promises";
import { createRemoteDial } from "../../src/clients/dial/remote-dial.ts";
import type { Dial } from "../../src/wire/streams/dial.ts";
import { ending, next, turn } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../support/system.ts";
import type { System, SystemOptions } from "../support/system.ts";
import { startTarget } from "../support/target.ts";
import { code } from "./reach.ts";

afterEach(() => assertNothingOpen());

async function start(tls: boolean, options: SystemOptions = {}): Promise<{ system: System; dial: Dial }> {
  const system = await startSystem({ ...options, tls });
  const ca = system.caFile === undefined ? undefined : await readFile(system.caFile, "utf8");
  return { system, dial: createRemoteDial({ server: system.url, token: ADMIN_TOKEN, ca }) };
}

for (const tls of [false, true]) {
  describe(`a remote dial ${tls ? "over TLS" : "in plaintext"}`, () => {
    test("keeps our half open after the target has finished its own", async () => {
      const target = await startTarget();
      const { system, dial } = await start(tls, { target });
      await using _ = system;
      const socket = await dial(RUNNER, TARGET);
      const atTarget = await target.accepted();
      const ours = ending(socket);
      const theirs = ending(atTarget);
      atTarget.end("first");
      assert.equal((await ours).kind, "end");
      const last = Buffer.alloc(8 * 1024 * 1024, "last");
      socket.end(last);
      assert.ok((await theirs).data.equals(last));
      assert.equal((await theirs).kind, "end");
    });

    test("resets the target's connection at once when a stream is aborted", async () => {
      // It accepts a clean end, and would continue endlessly.
      const target = await startTarget();
      const { system, dial } = await start(tls, { target });
      await using _ = system;
      const socket = await dial(RUNNER, TARGET);
      const atTarget = await target.accepted();
      const theirs = ending(atTarget);
      const ours = ending(socket);
      socket.destroy(new Error("given up"));
      assert.equal((await theirs).code, "ECONNRESET");
      assert.equal((await ours).code, "given up");
    });

    test("also resets a stream that is aborted after end()", async () => {
      const target = await startTarget();
      const { system, dial } = await start(tls, { target });
      await using _ = system;
      const socket = await dial(RUNNER, TARGET);
      const atTarget = await target.accepted();
      atTarget.pause();
      const ours = ending(socket);
      socket.end(Buffer.alloc(64 * 1024 * 1024)); // more than all buffers on the way hold
      await turn(20);
      socket.destroy(new Error("given up"));
      assert.equal((await ours).code, "given up");
      const theirs = await ending(atTarget);
      assert.equal(theirs.code, "ECONNRESET");
    });

    test("ends without a reset when both have finished", async () => {
      const { system, dial } = await start(tls);
      await using _ = system;
      const socket = await dial(RUNNER, TARGET);
      const ours = ending(socket);
      const closed = next(socket, "close");
      socket.end("echo");
      assert.deepEqual((await ours).data, Buffer.from("echo"));
      assert.equal((await ours).kind, "end");
      assert.deepEqual(await closed, [false]);
    });

    test("reports why a dial was refused", async () => {
      const { system, dial } = await start(tls);
      await using _ = system;
      await assert.rejects(dial("nobody", TARGET), code("runner_unknown"));
      await assert.rejects(dial(RUNNER, "none"), code("target_unknown"));
      await assert.rejects(dial(RUNNER, TARGET, { signal: AbortSignal.abort() }), code("aborted"));
    });

    test("reports that there is no control plane", async () => {
      const { system, dial } = await start(tls);
      await system.close();
      await assert.rejects(dial(RUNNER, TARGET), code("carrier_failed"));
    });
  });
}

test("a remote dial connects on the interface that the server's zone names", async () => {
  const zone = Object.entries(networkInterfaces()).find(([, of]) =>
    of?.some(({ internal }) => internal),
  )?.[0];
  await using system = await startSystem({ agents: 0, controlPlane: { host: "::1" } });
  const { port } = system.controlPlane;
  await system.addAgent(
    { [RUNNER]: { [TARGET]: system.target.address } },
    { server: `http://[::1]:${port}` },
  );
  const dial = createRemoteDial({ server: `http://[::1%25${zone}]:${port}`, token: ADMIN_TOKEN });
  const socket = await dial(RUNNER, TARGET);
  socket.end("hello");
  assert.equal((await ending(socket)).data.toString(), "hello");
  const elsewhere = createRemoteDial({ server: `http://[fe80::1%br-no_such]:${port}`, token: ADMIN_TOKEN });
  await assert.rejects(elsewhere(RUNNER, TARGET), /fe80::1%br-no_such/);
});
