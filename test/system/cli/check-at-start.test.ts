/** The checks at the start of an agent: one line for each that fails, and never before its first attempt has ended. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DAY_MS } from "../../../certs/lifetimes.ts";
import { StartChecks } from "../../../src/agent/check/start-checks.ts";
import type { StartChecksOptions } from "../../../src/agent/check/start-checks.ts";
import { parseTarget } from "../../../src/agent/targets/targets.ts";
import { followAgent, keptLog } from "../../support/agents.ts";
import type { KeptLine } from "../../support/agents.ts";
import { startAgent, startServe } from "../../support/commands.ts";
import { EventLog } from "../../support/event-log.ts";
import { within } from "../../support/events.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { refusingAddress, startTarget } from "../../support/target.ts";

const TARGETS = (address: string): StartChecksOptions["options"]["runners"] => [
  { id: RUNNER, targets: [parseTarget(`${TARGET}=${address}`)] },
];

function checkLines(lines: EventLog<KeptLine>): unknown[][] {
  return lines.all
    .filter(({ message }) => message.startsWith("check"))
    .map(({ level, fields }) => [level, fields["check"]]);
}

/** An agent with its checks, as the command has them. */
function start(
  server: string,
  address: string,
  more: Partial<StartChecksOptions> = {},
  options: { token?: { value: string } } = {},
) {
  const { log, lines } = keptLog();
  const own = { server, token: { value: ADMIN_TOKEN }, ...options };
  const checks = new StartChecks({
    options: { ...own, runners: TARGETS(address) },
    log,
    spreadMs: 0,
    ...more,
  });
  const events = new EventLog<string>();
  const agent = followAgent({
    ...own,
    runners: { [RUNNER]: { [TARGET]: address } },
    onEvent: (event) => {
      events.push(event.type);
      checks.onEvent(event);
    },
  });
  return { agent: agent.agent, checks, events, lines };
}

describe("the checks at the start of an agent", () => {
  it("log one line for what fails, and nothing for what is well", async () => {
    await using system = await startSystem({ agents: 0 });
    const { checks, lines } = start(system.url, await refusingAddress());
    await within(checks.done, "the checks");
    assert.deepEqual(checkLines(lines), [["warn", "target"]]);
    const [{ fields } = assert.fail()] = lines.all;
    assert.equal(fields["subject"], `${RUNNER}/${TARGET}`);
    assert.match(String(fields["seen"]), /ECONNREFUSED/);
    assert.match(String(fields["hint"]), /nothing listens there/);
  });

  it("look at the clock of an agent that is connected, and neither at carriers nor at the token", async () => {
    await using system = await startSystem({ agents: 0 });
    const address = system.target.address;
    const run = { now: () => Date.now() + DAY_MS };
    const { checks, lines } = start(system.url, address, { run });
    await within(checks.done, "the checks");
    assert.deepEqual(checkLines(lines), [["warn", "clock"]]);
    assert.equal(system.controlPlane.runners().length, 1);
  });

  it("say why an agent does not connect", async () => {
    await using system = await startSystem({ agents: 0 });
    const { checks, lines } = start(
      system.url,
      system.target.address,
      {},
      { token: { value: "unknown-token" } },
    );
    await within(checks.done, "the checks");
    assert.deepEqual(checkLines(lines), [["warn", "token"]]);
    assert.ok(!JSON.stringify(lines.all).includes("unknown-token"));
  });

  it("begin when the first attempt has ended, and an agent serves while a name hangs", async () => {
    await using system = await startSystem({ agents: 0 });
    const before = new EventLog<string[]>();
    const lookup = (): Promise<never> => new Promise(() => before.push([...started.events.all]));
    const server = system.url.replace("127.0.0.1", "localhost");
    const started = start(server, system.target.address, { run: { lookup } });
    const { agent, checks, events, lines } = started;
    await within(agent.connected(), "the agent's connection");
    assert.deepEqual(await before.find(() => true, "the lookup of the checks"), ["connected"]);
    // It hangs now, and will.
    assert.deepEqual(events.all, ["connected"]);
    const socket = await system.controlPlane.dial(RUNNER, TARGET);
    socket.destroy();
    checks.close();
    await within(checks.done, "the end of the checks");
    assert.deepEqual(checkLines(lines), []);
    await agent.close();
  });

  it("begin too when the first attempt hangs", async () => {
    await using silent = await startTarget();
    const run = { maxStepMs: 100 };
    const { checks, events, lines } = start(`http://${silent.address}`, silent.address, { run, delayMs: 50 });
    await within(checks.done, "the checks");
    assert.deepEqual([checkLines(lines), events.all], [[["warn", "endpoint"]], []]);
  });

  it("are those of the command: a target that is not there is named once the agent is connected", async () => {
    await using serve = await startServe();
    await using agent = startAgent(serve.url, RUNNER, `${TARGET}=${await refusingAddress()}`);
    const line = await agent.logged("check failed");
    assert.deepEqual([line["check"], line["subject"]], ["target", `${RUNNER}/${TARGET}`]);
    const messages = agent.lines.all.map(({ msg }) => msg);
    assert.ok(messages.indexOf("connected") < messages.indexOf("check failed"), messages.join("\n"));
  });
});
