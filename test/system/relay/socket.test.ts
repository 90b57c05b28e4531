/** Where a relay listens: what it takes, what it leaves alone, what it leaves behind. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, lstatSync, symlinkSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { afterEach, describe, it } from "node:test";
import { createAgent } from "../../../src/agent/agent.ts";
import { keptLog } from "../../support/agents.ts";
import { Command } from "../../support/commands.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRelayTo } from "../../support/relays.ts";
import { tempPath } from "../../support/temp.ts";

afterEach(() => assertNothingOpen());

const AWAY = "http://127.0.0.1:1";

async function refusedAt(address: string): Promise<Error> {
  const agent = createAgent({ server: AWAY, runners: {}, listen: [address] });
  const failed = await agent.listening().then(
    () => assert.fail("it listens"),
    (error: unknown) => error as Error,
  );
  await agent.close();
  return failed;
}

describe("the Unix socket of a relay", () => {
  it("is for its owner and group by default, and is removed at the end", async () => {
    const paths = [tempPath(), tempPath()];
    const listen = [`unix:${paths[0]}`, `unix://${paths[1]};mode=0666`];
    const agent = createAgent({ server: AWAY, runners: {}, listen });
    assert.deepEqual(
      await agent.listening(),
      paths.map((each) => `unix:${each}`),
    );
    const modes = paths.map((each) => lstatSync(each).mode & 0o777);
    await agent.close();
    assert.deepEqual(modes, [0o660, 0o666]);
    assert.deepEqual(
      paths.map((each) => existsSync(each)),
      [false, false],
    );
  });

  it("takes the place of one that a killed process has left", async () => {
    const socketPath = tempPath();
    const args = ["agent", "--server", AWAY, "--listen", `unix:${socketPath}`];
    await using killed = new Command("turnabout", args);
    await killed.logged("relay listens");
    await killed.end("SIGKILL");
    assert.ok(existsSync(socketPath), "SIGKILL leaves the file");
    await using relay = await startRelayTo(AWAY, { socketPath });
    const probe = net.connect({ path: relay.socketPath });
    await once(probe, "connect");
    probe.destroy();
  });

  it("is not taken from a process that listens there", async () => {
    await using relay = await startRelayTo(AWAY);
    const error = await refusedAt(relay.unix);
    assert.match(error.message, /another process listens there/);
    assert.ok(existsSync(relay.socketPath));
  });

  it("does not replace a file, nor what a link leads to", async () => {
    const file = tempPath(".txt");
    writeFileSync(file, "precious");
    assert.match((await refusedAt(`unix:${file}`)).message, /a file is there already, not a socket/);
    const link = tempPath();
    symlinkSync(file, link);
    assert.match((await refusedAt(`unix:${link}`)).message, /a symbolic link is there already/);
    const dangling = tempPath();
    symlinkSync(tempPath(), dangling);
    assert.match((await refusedAt(`unix:${dangling}`)).message, /a symbolic link is there already/);
    assert.ok(existsSync(file));
  });

  it("cannot be in a folder that is not there", async () => {
    const { log, lines } = keptLog();
    const address = `unix:${path.join(tempPath("-none"), "r.sock")}`;
    const agent = createAgent({ server: AWAY, runners: {}, listen: [address], log });
    await assert.rejects(agent.listening(), /no directory /);
    assert.ok(lines.all.some(({ message }) => message === "relay: cannot listen"));
    await agent.close();
  });
});

describe("a relay's address", () => {
  const bad: [string, RegExp][] = [
    ["", /use unix:\/PATH or HOST:PORT/],
    ["7443", /use unix:\/PATH or HOST:PORT/],
    ["host:70000", /use unix:\/PATH or HOST:PORT/],
    ["unix:relative.sock", /use unix:\/PATH or HOST:PORT/],
    ["unix:/r.sock;mode=999", /use unix:\/PATH or HOST:PORT/],
    [`unix:/${"x".repeat(107)}`, /at most 107 bytes/],
  ];
  for (const [address, message] of bad) {
    it(`is not ${JSON.stringify(address.slice(0, 30))}`, () => {
      assert.throws(() => createAgent({ server: AWAY, runners: {}, listen: [address] }), message);
    });
  }

  it("may be one of IPv6", async () => {
    const agent = createAgent({ server: AWAY, runners: {}, listen: ["[::1]:0"] });
    assert.match((await agent.listening())[0] ?? "", /^\[::1\]:\d+$/);
    await agent.close();
  });
});
