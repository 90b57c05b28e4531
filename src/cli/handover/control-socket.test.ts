import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { assertNothingOpen } from "../../../test/support/nothing-open.ts";
import { tempPath } from "../../../test/support/temp.ts";
import { silentLogger } from "../../wire/log.ts";
import { ControlSocket, requestUpgrade } from "./control-socket.ts";
import { MAX_CONTROL_LINE_BYTES } from "./limits.ts";
import { UpgradeError } from "./upgrade-error.ts";

afterEach(() => assertNothingOpen());

function folder(): string {
  const path = tempPath("");
  mkdirSync(path);
  return path;
}

async function open(directory: string, upgrade: () => Promise<number>): Promise<ControlSocket & Disposable> {
  const socket = new ControlSocket(directory, upgrade, silentLogger);
  await socket.listen();
  return Object.assign(socket, { [Symbol.dispose]: () => socket.close() });
}

/** What a client gets that sends this. */
async function send(directory: string, text: string): Promise<string> {
  const socket = net.connect({ path: join(directory, "control.sock") });
  socket.on("error", () => {});
  let received = "";
  socket.on("data", (chunk: Buffer) => (received += chunk.toString("utf8")));
  socket.write(text);
  await once(socket, "close");
  return received;
}

describe("the control socket", () => {
  it("reports the outcome of an upgrade, to its owner alone", async () => {
    const directory = folder();
    const outcomes = [Promise.resolve(4711), Promise.reject(new UpgradeError("no certificate", "mend it"))];
    outcomes[1]?.catch(() => {});
    using _socket = await open(directory, () => outcomes.shift() ?? assert.fail());
    assert.equal(statSync(join(directory, "control.sock")).mode & 0o777, 0o600);
    assert.equal(await requestUpgrade(directory), 4711);
    await assert.rejects(requestUpgrade(directory), { message: "no certificate", hint: "mend it" });
  });

  it("still reports to a client where the path is another process's already", async () => {
    const directory = folder();
    const outcome = Promise.withResolvers<number>();
    const asked = Promise.withResolvers<void>();
    const first = await open(directory, () => {
      asked.resolve();
      return outcome.promise;
    });
    const requested = requestUpgrade(directory);
    await asked.promise;
    first.close();
    using _second = await open(directory, () => Promise.resolve(2));
    assert.equal(await requestUpgrade(directory), 2);
    outcome.resolve(1);
    assert.equal(await requested, 1);
    assert.ok(
      existsSync(join(directory, "control.sock")),
      "the first one's end leaves the second one's path",
    );
  });

  it("takes the place of a dead process's socket", async () => {
    const directory = folder();
    const dead = net.createServer().listen({ path: join(directory, "dead.sock") });
    await once(dead, "listening");
    renameSync(join(directory, "dead.sock"), join(directory, "control.sock"));
    dead.close();
    using _socket = await open(directory, () => Promise.resolve(4711));
    assert.equal(await requestUpgrade(directory), 4711);
  });

  it("starts nothing for what is no request", async () => {
    const directory = folder();
    using _socket = await open(directory, () => assert.fail("an upgrade"));
    for (const text of ["reload\n", "x".repeat(MAX_CONTROL_LINE_BYTES + 1)])
      assert.equal(await send(directory, text), "");
  });

  it("leaves a file alone that is in its place, and the control plane without a socket", async () => {
    const directory = folder();
    writeFileSync(join(directory, "control.sock"), "mine");
    using _socket = await open(directory, () => assert.fail("an upgrade"));
    assert.equal(statSync(join(directory, "control.sock")).size, 4);
  });
});
