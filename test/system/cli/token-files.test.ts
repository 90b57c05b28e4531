import assert from "node:assert/strict";
import { renameSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { after, afterEach, describe, it } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import { file } from "../../support/agents.ts";
import { CommandHost } from "../../support/command-host.ts";
import { startAgent, startServe } from "../../support/commands.ts";
import type { Command, ServeCommand } from "../../support/commands.ts";
import { ending } from "../../support/events.ts";
import { call, errorCode, open, runnersUntil, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import { tempPath } from "../../support/temp.ts";
import { startStopwatch } from "../../support/stopwatch.ts";

afterEach(() => assertNothingOpen());

const host = new CommandHost(new URL("../../../src/cli/main.ts", import.meta.url));
after(() => host[Symbol.asyncDispose]());

function tokens(...records: TokenRecord[]): string {
  return JSON.stringify({ tokens: records });
}

function runnerToken(id: string, token: string, runners = ["*"]): TokenRecord {
  return { id, kind: "runner", sha256: hashToken(token), runners };
}

/** Replaces the file atomically, as a careful operator does. */
function replace(path: string, text: string): void {
  const draft = tempPath(".json");
  writeFileSync(draft, text);
  renameSync(draft, path);
}

function agentWith(serve: ServeCommand, tokenFile: string, target = "127.0.0.1:1"): Command {
  const env = { TURNABOUT_TOKEN: undefined };
  return startAgent(serve.url, RUNNER, `web=${target}`, ["--token-file", tokenFile], env);
}

const registered = (runners: { id: string; state: string }[]): boolean =>
  runners.some(({ id, state }) => id === RUNNER && state === "connected");

describe("the control plane's token file", () => {
  it("revokes: connections close within a second, what they carry fails, and the agent is refused after", async () => {
    await using target = await startHttpTarget((_request, response) => void response.write("endless "));
    const path = file(tokens(runnerToken("wolves", "good")));
    await using serve = await startServe(["--token-file", path]);
    await using agent = agentWith(serve, file("good"), target.address);
    await runnersUntil(serve.url, registered, "the agent");
    const response = await open(targetUrl(serve.url, RUNNER, "web"));
    const end = ending(response);

    const stopwatch = startStopwatch();
    replace(path, tokens(runnerToken("bears", "other")));
    await serve.logged("credential revoked; closing the connection");
    assert.equal((await end).kind, "error");
    assert.ok(stopwatch.elapsedMs() < 2_000, "checked twice a second");
    const refused = await agent.logged("refused; trying again more slowly");
    assert.match(String(refused["reason"]), /unauthenticated|401/);
    await runnersUntil(serve.url, (runners) => !registered(runners), "the loss");
  });

  it("narrows: a token that is no longer for its runner loses it", async () => {
    const path = file(tokens(runnerToken("wolves", "good")));
    await using serve = await startServe(["--token-file", path]);
    await using agent = agentWith(serve, file("good"));
    await runnersUntil(serve.url, registered, "the agent");
    replace(path, tokens(runnerToken("wolves", "good", ["wolf-*"])));
    await agent.logged("refused; trying again more slowly");
    await runnersUntil(serve.url, (runners) => !registered(runners), "the loss");
  });

  it("keeps its last valid tokens while it is invalid or missing, logs each error once, and recovers", async () => {
    const path = file(tokens(runnerToken("wolves", "good")));
    await using serve = await startServe(["--token-file", path]);
    await using agent = agentWith(serve, file("good"));
    await runnersUntil(serve.url, registered, "the agent");
    for (const [broken, says] of [
      ["{ not json", "not valid JSON"],
      [JSON.stringify({ tokens: [{ id: "x", kind: "king" }] }), "kind must be admin, user or runner"],
    ] as const) {
      const from = serve.lines.length;
      replace(path, broken);
      const line = await serve.logged("token file not usable; the last valid tokens stay in force", from);
      assert.match(String(line["reason"]), new RegExp(says));
    }
    const from = serve.lines.length;
    unlinkSync(path);
    await serve.logged("token file not usable; the last valid tokens stay in force", from);
    assert.ok(registered(await runnersUntil(serve.url, registered, "still there")));
    replace(path, tokens(runnerToken("wolves", "good"), runnerToken("bears", "new")));
    await serve.logged("token file reloaded");
    await using bear = startAgent(serve.url, "bear", "web=127.0.0.1:1", [], { TURNABOUT_TOKEN: "new" });
    await bear.logged("connected");
    assert.ok(agent.running);
    const errors = serve.lines.all.filter(({ msg }) => msg.startsWith("token file not usable"));
    assert.equal(errors.length, 3, "one for each kind of damage");
  });

  it("is followed through a symlink, as a mounted secret changes", async () => {
    const path = tempPath(".json");
    symlinkSync(file(tokens()), path);
    await using serve = await startServe(["--token-file", path]);
    const draft = tempPath(".json");
    symlinkSync(file(tokens(runnerToken("wolves", "good"))), draft);
    renameSync(draft, path);
    await serve.logged("token file reloaded");
    await using agent = agentWith(serve, file("good"));
    await agent.logged("connected");
  });

  it("must be valid at the start: otherwise serve ends with an error and a hint", async () => {
    const path = file("[]");
    const { code, stderr } = await host.run(["serve", "--port", "0", "--token-file", path]);
    assert.deepEqual([code, stderr.split("\n")[0]], [1, `error: token file ${path}: no "tokens" list`]);
    assert.match(stderr, /\nhint: correct the file: /);
  });

  it("accepts what `turnabout token` prints", async () => {
    const made = await host.run(["token", "--id", "w", "--kind", "runner", "--runner", "runner-*"]);
    const [secret = "", record = ""] = made.stdout.split("\n");
    assert.match(secret, /^ta_\S{32}$/);
    assert.ok(!record.includes(secret), "the entry holds only the hash");
    await using serve = await startServe(["--token-file", file(`{"tokens":[${record}]}`)]);
    await using agent = agentWith(serve, file(secret));
    await agent.logged("connected");
    await runnersUntil(serve.url, registered, "the agent");
  });
});

describe("turnabout token", () => {
  it("creates a user that can only own sessions, as the API does", async () => {
    const made = await host.run(["token", "--id", "u1", "--kind", "user"]);
    assert.equal(made.code, 0, made.stderr);
    const [secret = "", record = ""] = made.stdout.split("\n");
    await using serve = await startServe(["--token-file", file(`{"tokens":[${record}]}`)]);
    const sessions = await call(`${serve.url}/api/v1/sessions`, { token: secret });
    assert.deepEqual([sessions.status, sessions.body], [200, '{"sessions":[]}']);
    const target = await call(`${serve.url}/api/v1/runners/runner-1/targets/x/`, { token: secret });
    assert.equal(target.status, 403);
  });

  it("refuses a runner without patterns", async () => {
    const { code, stderr } = await host.run(["token", "--id", "r", "--kind", "runner"]);
    assert.notEqual(code, 0);
    assert.match(stderr, /^error: no runner given\nhint: give --runner PATTERN/);
  });
});

describe("an agent's token file", () => {
  it("is read again at every attempt: a rotated token needs no restart", async () => {
    const control = file(tokens(runnerToken("wolves", "first")));
    await using serve = await startServe(["--token-file", control]);
    const own = file("first\n");
    await using agent = agentWith(serve, own);
    await runnersUntil(serve.url, registered, "the agent");
    replace(own, "second\n");
    replace(control, tokens(runnerToken("wolves", "second")));
    await serve.logged("credential revoked; closing the connection");
    await runnersUntil(serve.url, (runners) => !registered(runners), "the loss");
    await runnersUntil(serve.url, registered, "the return with the new token");
    assert.ok(agent.running);
  });

  it("may be missing at first, and empty then: the reason is logged, and the agent connects once it is there", async () => {
    await using serve = await startServe(["--token-file", file(tokens(runnerToken("wolves", "good")))]);
    const own = tempPath(".token");
    await using agent = agentWith(serve, own);
    const missing = await agent.logged("the configuration cannot be used");
    assert.match(String(missing["reason"]), /^token file \S+: ENOENT/);
    const from = agent.lines.length;
    writeFileSync(own, "\n");
    const empty = await agent.logged("the configuration cannot be used", from);
    assert.match(String(empty["reason"]), /^token file \S+: empty/);
    replace(own, "good");
    await agent.logged("connected");
  });

  it("with a wrong token is refused as 401 until the token becomes valid", async () => {
    const control = file(tokens(runnerToken("others", "other")));
    await using serve = await startServe(["--token-file", control]);
    await using agent = agentWith(serve, file("early"));
    const refused = await agent.logged("refused; trying again more slowly");
    assert.match(String(refused["reason"]), /refused \(401\): A valid token is required/);
    const error = 50;
    assert.equal(refused.level, error);
    assert.match(String(refused["hint"]), /does not know this token/);
    replace(control, tokens(runnerToken("wolves", "early")));
    await serve.logged("token file reloaded");
    await runnersUntil(serve.url, registered, "the agent, now that its token is known");
    const response = await call(targetUrl(serve.url, RUNNER, "nothing"));
    assert.equal(errorCode(response), "target_unknown");
  });
});
