import assert from "node:assert/strict";
import { afterEach, describe, it, mock } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import { assertEchoes, followAgent } from "../../support/agents.ts";
import { ending, next } from "../../support/events.ts";
import { call, errorCode, runnersUntil } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";

afterEach(async () => {
  mock.restoreAll();
  await assertNothingOpen();
});

describe("DELETE /api/v1/runners/{id}", () => {
  it("drains the agent's connections, lets open streams finish, and the agent reconnects", async () => {
    mock.method(Math, "random", () => 0.01); // the pause after a kick is up to 5 s
    await using system = await startSystem({ agents: 0 });
    await using agent = followAgent({
      server: system.url,
      connections: 2,
      runners: { [RUNNER]: { [TARGET]: system.target.address } },
    });
    const usable = (count: number) => (runners: { connections: { draining: boolean }[] }[]) =>
      runners[0]?.connections.filter(({ draining }) => !draining).length === count;
    const [before] = await runnersUntil(system.url, usable(2), "both connections");
    const inFlight = await system.controlPlane.dial(RUNNER, TARGET);
    inFlight.write("half ");
    await next(inFlight, "readable");

    const { status, body } = await call(`${system.url}/api/v1/runners/${RUNNER}`, { method: "DELETE" });
    assert.deepEqual([status, body], [204, ""]);
    assert.equal((await agent.lost()).reason, "kicked: an operator closed the connection");
    const [after] = await runnersUntil(system.url, usable(2), "both connections again");
    const ids = (runner: typeof before): string[] => runner?.connections.map(({ id }) => id) ?? [];
    assert.equal(ids(after).filter((id) => ids(before).includes(id)).length, 1, "the one in use remains");
    await assertEchoes(system.controlPlane.dial);

    const rest = ending(inFlight);
    inFlight.end("whole");
    assert.equal((await rest).data.toString(), "half whole");
    await runnersUntil(system.url, ([runner]) => runner?.connections.length === 2, "the old one's end");
  });

  it("requires an admin and a connected runner", async () => {
    const user = { id: "u", kind: "user", sha256: hashToken("user"), runners: ["*"] } as const;
    await using system = await startSystem({ controlPlane: { tokens: [{ ...user, runners: ["*"] }] } });
    const kick = (id: string, token: string | null): ReturnType<typeof call> =>
      call(`${system.url}/api/v1/runners/${id}`, { method: "DELETE", token });
    assert.equal(errorCode(await kick(RUNNER, null)), "unauthenticated");
    assert.equal(errorCode(await kick(RUNNER, "user")), "not_allowed");
    assert.equal(errorCode(await kick("unknown", "test-admin-token")), "runner_unknown");
    await assertEchoes(system.controlPlane.dial);
  });
});
