/** Dials over one HTTP/2 connection to the forward proxy. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, describe, it } from "node:test";
import { RemoteConnection } from "../../src/clients/dial/remote-connection.ts";
import { CALLER_MAX_STREAMS } from "../../src/control/limits.ts";
import type { TurnaboutError } from "../../src/wire/errors.ts";
import { closedAtTheEnd } from "../support/cleanup.ts";
import { ending, eventually } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../support/system.ts";
import type { System } from "../support/system.ts";
import { startTarget } from "../support/target.ts";

afterEach(() => assertNothingOpen());

async function remoteOf({ url, caFile }: System, token = ADMIN_TOKEN): Promise<RemoteConnection> {
  const ca = caFile === undefined ? undefined : await readFile(caFile, "utf8");
  const remote = new RemoteConnection({ server: url, token, ca });
  closedAtTheEnd(async () => remote.close());
  return remote;
}

for (const tls of [false, true]) {
  describe(`a remote connection ${tls ? "over TLS" : "in plaintext"}`, () => {
    it("carries bytes and the end of each direction for itself", async () => {
      const target = await startTarget();
      await using system = await startSystem({ target, tls });
      const socket = await (await remoteOf(system)).open(RUNNER, TARGET);
      const ours = ending(socket);
      socket.end("first bytes");
      const atTarget = await target.accepted();
      const theirs = await ending(atTarget);
      assert.deepEqual([theirs.kind, theirs.data.toString()], ["end", "first bytes"]);
      atTarget.end("after your end");
      const end = await ours;
      assert.deepEqual([end.kind, end.data.toString()], ["end", "after your end"]);
    });

    it("gives a refusal as the socket's error, with its code", async () => {
      await using system = await startSystem({ tls });
      const remote = await remoteOf(system);
      for (const [runner, target, expected] of [
        [RUNNER, "none", "target_unknown"],
        ["nobody", TARGET, "runner_unknown"],
      ] as const) {
        const socket = await remote.open(runner, target);
        socket.write("lost");
        const [error] = (await once(socket, "error")) as [TurnaboutError];
        assert.equal(error.code, expected);
      }
    });
  });
}

describe("a remote connection", () => {
  it("opens a second one where the first has as many streams as the control plane allows", async () => {
    const target = await startTarget();
    await using system = await startSystem({ target, agent: { connections: 2 } });
    const remote = await remoteOf(system);
    await remote.warm();
    const count = CALLER_MAX_STREAMS + 5;
    const sockets = await Promise.all(Array.from({ length: count }, () => remote.open(RUNNER, TARGET)));
    for (const socket of sockets) socket.on("error", () => {});
    await eventually(() => target.sockets.size === count, "all dials at the target");
    for (const socket of sockets) socket.destroy();
  });

  it("connects again after a loss, and what was open has an error", async () => {
    await using system = await startSystem({ faulty: true });
    const remote = new RemoteConnection({ server: system.agentUrl, token: ADMIN_TOKEN });
    closedAtTheEnd(async () => remote.close());
    const socket = await remote.open(RUNNER, TARGET);
    socket.write("x");
    await once(socket, "data");
    system.path?.reset();
    const [error] = (await once(socket, "error")) as [TurnaboutError];
    assert.equal(error.code, "tunnel_lost");
    const after = await remote.open(RUNNER, TARGET, { waitMs: 10_000 });
    after.write("y");
    assert.deepEqual(await once(after, "data"), [Buffer.from("y")]);
    after.destroy();
  });

  it("names what is wrong where the port speaks no HTTP/2, and where nobody listens", async () => {
    const server = net.createServer((socket) => void socket.resume().end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const remote = new RemoteConnection({ server: `http://127.0.0.1:${port}`, token: ADMIN_TOKEN });
    await assert.rejects(remote.open(RUNNER, TARGET), {
      code: "carrier_failed",
      message: /speaks no HTTP\/2/,
    });
    server.close();
    await once(server, "close");
    await assert.rejects(remote.open(RUNNER, TARGET), { code: "carrier_failed", message: /ECONNREFUSED/ });
    remote.close();
    await assert.rejects(remote.open(RUNNER, TARGET), { code: "aborted" });
  });
});
