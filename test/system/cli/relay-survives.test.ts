/** Agents behind a relay, and a `turnabout serve` that is killed and started again. */
import { afterEach, describe, it } from "node:test";
import { Command, startServe } from "../../support/commands.ts";
import { runnersUntil } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRelayTo } from "../../support/relays.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

describe("a control plane that is killed and started again behind a relay", () => {
  it("gets all 30 agents back, through the same relay", async () => {
    const AGENTS = 30;
    const isComplete = (runners: { state: string }[]): boolean =>
      runners.filter(({ state }) => state === "connected").length === AGENTS;
    await using stack = new AsyncDisposableStack();
    const before = stack.use(await startServe());
    const relay = stack.use(await startRelayTo(before.url));
    const env = { TURNABOUT_TOKEN: ADMIN_TOKEN };
    const crowd = new URL("../../support/agents.child.ts", import.meta.url);
    const agents = stack.use(new Command(crowd, [relay.unix, "0", String(AGENTS)], { env }));
    await runnersUntil(before.url, isComplete, "the first connects");
    await before.end("SIGKILL");
    await agents.output.findNth(AGENTS, (line) => line.includes('"lost"'), "the losses");
    await agents.output.find((line) => line.includes('"attempt-failed"'), "an attempt in between");
    const after = stack.use(await startServe([], { port: before.port }));
    await runnersUntil(after.url, isComplete, "the reconnects");
    await agents.end();
  });
});
