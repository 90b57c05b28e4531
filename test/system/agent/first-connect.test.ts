import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { afterEach, describe, it, mock } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import { MAX_WAIT_MS, WAITING_DIALS_PER_CALLER_AND_RUNNER } from "../../../src/control/limits.ts";
import { MAX_UNKNOWN_RUNNERS } from "../../../src/control/shares/limits.ts";
import { TurnaboutError } from "../../../src/wire/errors.ts";
import { file, followAgent } from "../../support/agents.ts";
import { ending, eventually } from "../../support/events.ts";
import { call, errorCode, open, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { promptly } from "../../support/stopwatch.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

describe("a runner that has never connected", () => {
  it("fails at once without a wait", async () => {
    await using system = await startSystem({ agents: 0 });
    const response = await promptly(call(targetUrl(system.url, "nobody", "web")), "the refusal", 1_000);
    assert.deepEqual([response.status, errorCode(response)], [404, "runner_unknown"]);
  });

  it("fails at once with Prefer: wait; known, which is for runners that have connected before", async () => {
    await using system = await startSystem({ agents: 0 });
    const given = { headers: { prefer: "wait=30; known" } };
    const response = await promptly(
      call(targetUrl(system.url, "nobody", "web"), given),
      "the refusal",
      1_000,
    );
    assert.deepEqual([response.status, errorCode(response)], [404, "runner_unknown"]);
    const agent = await system.addAgent({ away: { web: "127.0.0.1:1" } });
    await agent.close();
    const waiting = call(targetUrl(system.url, "away", "web"), given);
    await system.addAgent({ away: { web: system.target.address } });
    assert.notEqual((await waiting).status, 404);
  });

  it("is waited for with Prefer: wait, and the request goes through when it comes", async () => {
    await using target = await startHttpTarget((_request, response) => void response.end("at last"));
    await using system = await startSystem({ agents: 0 });
    const response = call(targetUrl(system.url, "late", "web"), { headers: { prefer: "wait=30" } });
    await system.addAgent({ late: { web: target.address } });
    assert.equal((await response).body, "at last");
  });

  it("is waited for no longer than requested", async () => {
    await using system = await startSystem({ agents: 0 });
    const startedAt = performance.now();
    const response = await call(targetUrl(system.url, "nobody", "web"), { headers: { prefer: "wait=1" } });
    assert.deepEqual([response.status, errorCode(response)], [404, "runner_unknown"]);
    assert.ok(performance.now() - startedAt >= 990);
  });

  it("is waited for no longer than the limit, whatever is requested", async (t) => {
    await using system = await startSystem({ agents: 0 });
    const timers = mock.method(globalThis, "setTimeout");
    t.after(() => timers.mock.restore());
    const given = new AbortController();
    const waitMs = MAX_WAIT_MS * 100;
    const dial = system.controlPlane.dial("nobody", "web", { waitMs, signal: given.signal });
    const delays = timers.mock.calls.map(({ arguments: [, delayMs] }) => delayMs ?? 0);
    assert.ok(Math.max(...delays) <= MAX_WAIT_MS);
    const reason = new Error("the caller has other plans");
    given.abort(reason);
    await assert.rejects(
      dial,
      (error) => error instanceof TurnaboutError && error.code === "aborted" && error.cause === reason,
    );
  });

  it("is waited for by a bounded number of dials, and a bounded number of such runners", async () => {
    await using system = await startSystem({ agents: 0 });
    const given = new AbortController();
    const wait = (runner: string): Promise<unknown> =>
      system.controlPlane
        .dial(runner, "web", { waitMs: 60_000, signal: given.signal })
        .catch((error: unknown) => (error instanceof TurnaboutError ? error.code : error));
    const same = Array.from({ length: WAITING_DIALS_PER_CALLER_AND_RUNNER }, () => wait("nobody"));
    assert.equal(await wait("nobody"), "overloaded");
    const different = Array.from({ length: MAX_UNKNOWN_RUNNERS - 1 }, (_, i) => wait(`nobody-${i}`));
    assert.equal(await wait("one-too-many"), "overloaded");
    given.abort();
    assert.deepEqual(new Set(await Promise.all([...same, ...different])), new Set(["aborted"]));
    assert.deepEqual(system.controlPlane.runners(), [], "nothing is remembered of them");
  });

  it("is no longer waited for when the control plane shuts down", async () => {
    await using system = await startSystem({ agents: 0 });
    const waiting = open(targetUrl(system.url, "nobody", "web"), { headers: { prefer: "wait=60" } });
    let requested = false;
    // The listing's response comes after the request before it has arrived.
    await eventually(() => {
      requested ||= true;
      return requested;
    }, "a turn");
    await call(`${system.url}/healthz`);
    await call(`${system.url}/healthz`);
    const closed = system.controlPlane.close();
    const response = await waiting;
    assert.equal(response.statusCode, 503);
    const { data } = await ending(response);
    assert.match(data.toString(), /control_plane_draining/);
    await closed;
  });
});

describe("whoever waits for an agent's first connection", () => {
  it("can dial its runners then", async () => {
    await using system = await startSystem({ agents: 0 });
    const runners = { [RUNNER]: { web: system.target.address } };
    await using followed = followAgent({ server: system.url, token: { value: ADMIN_TOKEN }, runners });
    await followed.agent.connected();
    const response = await system.controlPlane.dial(RUNNER, "web");
    response.destroy();
  });

  const isCode = (code: string) => (error: unknown) => error instanceof TurnaboutError && error.code === code;

  for (const [what, token, runner, code] of [
    ["an unknown token", "unknown-token", RUNNER, "unauthenticated"],
    ["a token of another runner", "token-of-another", RUNNER, "not_allowed"],
  ] as const) {
    it(`gets to know that it is refused for ${what}, once; the agent goes on`, async () => {
      const sha256 = hashToken("token-of-another");
      const tokens: TokenRecord[] = [{ id: "another", kind: "runner", sha256, runners: ["another"] }];
      await using system = await startSystem({ agents: 0, controlPlane: { tokens } });
      const path = file(token);
      await using followed = followAgent({
        server: system.url,
        token: { file: path },
        runners: { [runner]: { web: "127.0.0.1:1" } },
      });
      const { agent } = followed;
      // Nobody waits when it is refused: the next one gets to know.
      await followed.failed();
      await assert.rejects(agent.connected(), isCode(code));
      const given = new AbortController();
      const waiting = agent.connected({ signal: given.signal });
      const reason = new Error("no more time");
      given.abort(reason);
      await assert.rejects(waiting, (error) => isCode("aborted")(error) && (error as Error).cause === reason);
      const closed = assert.rejects(agent.connected(), isCode("agent_draining"));
      await agent.close();
      await closed;
      await assert.rejects(agent.connected(), isCode("agent_draining"));
    });
  }

  it("waits on where time may help: a port that is closed, a file that is missing", async () => {
    await using system = await startSystem({ agents: 0 });
    const path = file("");
    await using followed = followAgent({ server: system.url, token: { file: path } });
    const connected = followed.agent.connected();
    await followed.failed();
    writeFileSync(path, ADMIN_TOKEN);
    await connected;
    await followed.agent.connected({ signal: AbortSignal.abort() });
  });
});
