/** Relays and paths that go away under the agents behind a relay. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { RegistryEvent } from "../../../src/control/registry/registry.ts";
import { assertEchoes, followAgent } from "../../support/agents.ts";
import { Command } from "../../support/commands.ts";
import { EventLog } from "../../support/event-log.ts";
import { ending } from "../../support/events.ts";
import { openFaultyPath } from "../../support/faulty-path.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRelayTo } from "../../support/relays.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";

afterEach(() => assertNothingOpen());

const keepalive = { pingIntervalMs: 50, pingDeadlineMs: 200 };
/** What is required of a death with a FIN. */
const NOTICE_MS = 1_000;

describe("a relay that is killed", () => {
  for (const way of ["unix", "tcp"] as const) {
    it(`is noticed by both ends within a second, and forwards again after its restart (${way})`, async () => {
      const registry = new EventLog<RegistryEvent>();
      await using system = await startSystem({ agents: 0, controlPlane: { onEvent: registry.push } });
      const socketPath = tempPath();
      const start = async (port: string): Promise<{ relay: Command; port: string }> => {
        const listen = ["--listen", `unix:${socketPath}`, "--listen", `127.0.0.1:${port}`];
        const relay = new Command("turnabout", ["agent", "--server", system.url, ...listen]);
        const { address } = await relay.logged(/relay listens/, 1);
        return { relay, port: String(address).split(":").at(-1) ?? "" };
      };
      const first = await start("0");
      const server = way === "unix" ? `unix:${socketPath}` : `http://127.0.0.1:${first.port}`;
      const runners = { [RUNNER]: { [TARGET]: system.target.address } };
      await using inner = followAgent({ server, runners });
      await registry.find(({ type }) => type === "connected", "the registration");
      const end = ending(await system.controlPlane.dial(RUNNER, TARGET));
      const exited = first.relay.end("SIGKILL");
      const noticed = { timeoutMs: NOTICE_MS };
      await Promise.all([
        registry.find(({ type }) => type === "lost", "the control plane's notice", noticed),
        inner.events.find(({ type }) => type === "lost", "the agent's notice", noticed),
      ]);
      await exited;
      assert.equal((await end).kind, "error");
      const { relay } = await start(first.port);
      await using _ = relay;
      await registry.findNth(2, ({ type }) => type === "connected", "the return");
      await assertEchoes(system.controlPlane.dial);
    });
  }
});

describe("a path that goes silent without a FIN", () => {
  for (const where of ["in front of the relay", "behind the relay"] as const) {
    it(`${where} is noticed by both ends`, async () => {
      const registry = new EventLog<RegistryEvent>();
      await using system = await startSystem({
        agents: 0,
        controlPlane: { ...keepalive, onEvent: registry.push },
      });
      const isInner = where === "behind the relay";
      await using outer = isInner ? undefined : await openFaultyPath(system.controlPlane.port);
      await using relay = await startRelayTo(
        outer === undefined ? system.url : `http://127.0.0.1:${outer.port}`,
      );
      await using innerPath = isInner ? await openFaultyPath(relay.port) : undefined;
      const path = outer ?? innerPath;
      await using inner = followAgent({
        ...keepalive,
        server: innerPath === undefined ? relay.unix : `http://127.0.0.1:${innerPath.port}`,
        runners: { [RUNNER]: { [TARGET]: system.target.address } },
        attemptTimeoutMs: 300,
      });
      await registry.find(({ type }) => type === "connected", "the registration");
      const end = ending(await system.controlPlane.dial(RUNNER, TARGET));
      path?.stall();
      await registry.find(({ type }) => type === "lost", "the control plane's notice");
      await inner.lost();
      assert.equal((await end).kind, "error");
      path?.resume();
      await registry.findNth(2, ({ type }) => type === "connected", "the return");
      await assertEchoes(system.controlPlane.dial);
    });
  }
});
