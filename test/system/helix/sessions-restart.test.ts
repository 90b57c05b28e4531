import assert from "node:assert/strict";
import {
  chmodSync,
  mkdtempSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, it } from "node:test";
import type { Agent } from "../../../src/agent/agent.ts";
import { createControlPlane } from "../../../src/control/control-plane.ts";
import { helix } from "../../../src/helix/helix.ts";
import type { ControlPlane } from "../../../src/control/control-plane.ts";
import { createWolfDouble } from "../../../src/demo/wolf/double.ts";
import { TurnaboutError } from "../../../src/wire/errors.ts";
import { run, startServe } from "../../support/commands.ts";
import { eventually, within } from "../../support/events.ts";
import { call, errorCode } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";
import { api, issueToken } from "../../support/api.ts";
import {
  assertNoOrphans,
  connectAgent,
  createSession,
  heartbeat,
  instancesUntil,
  listInstances,
  listSessions,
  newSession,
  startSessions,
  startWolfAgent,
} from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

function directoryPath(): string {
  return join(mkdtempSync(tempPath("-")), "data");
}

/** Without when they were last used, which only the process knows. */
async function listTokens(url: string): Promise<object[]> {
  const { tokens } = (await api(url, "GET", "/api/v1/tokens")).body as {
    tokens: { last_used_at?: string }[];
  };
  return tokens.map(({ last_used_at: _lastUsed, ...others }) => others);
}

/** An agent for `web`, as soon as the control plane has entered it. */
async function connectWeb(controlPlane: ControlPlane): Promise<Agent> {
  const runners = { web: { x: "127.0.0.1:1" } };
  const agent = await connectAgent(`http://127.0.0.1:${controlPlane.port}`, { runners });
  await eventually(() => controlPlane.runners()[0]?.state === "connected", "its registration");
  return agent;
}

describe("a control plane that is killed and started again on its directory", () => {
  it("knows its sessions, instances and tokens, and waits for its runners instead of denying them", async () => {
    await using wolf = await createWolfDouble({ socketPath: tempPath() });
    const directory = directoryPath();
    await using before = await startServe(["--data-dir", directory]);
    const { url } = before;
    const agentToken = await issueToken(url, { id: "wolf-a", kind: "runner", runners: ["wolf-a"] });
    const alice = await issueToken(url, { id: "alice", kind: "user", expires_in_s: 3_600 });
    const first = startWolfAgent(url, "a", wolf, agentToken);
    await instancesUntil(url, ([one]) => one?.status === "online", "the instance");
    await heartbeat(url, "a", { max_sandboxes: 3, gpu_vendor: "amd" }, agentToken);
    const session = await newSession(url, { name: "kept", width: 800 }, alice);
    const [instance] = await listInstances(url);
    const tokens = await listTokens(url);
    await first.end("SIGKILL");
    await before.end("SIGKILL");

    await using after = await startServe(["--data-dir", directory], { port: before.port });
    assert.deepEqual(await listTokens(url), tokens);
    const [kept] = await listSessions(url, alice);
    assert.deepEqual(kept, { ...session, runner_state: kept?.runner_state });
    assert.deepEqual(await listInstances(url), [{ ...instance, status: "reconnecting" }]);
    const unknown = await call(`${url}/api/v1/wolf/lobbies?wolf_instance_id=b`);
    assert.deepEqual([unknown.status, errorCode(unknown)], [404, "instance_unknown"]);

    // Known, and not back yet: the calls wait, and get their responses when it is. There are two places more, for two of three.
    const waiting = call(`${url}/api/v1/wolf/lobbies?wolf_instance_id=a`);
    const early = ["alice", "alice", "alice"].map(() => createSession(url, {}, alice));
    await using second = startWolfAgent(url, "a", wolf, agentToken);
    const response = await within(waiting, "the response");
    assert.equal(response.status, 200);
    assert.match(response.body, new RegExp(session.id));
    const created = await within(Promise.all(early), "the creations");
    assert.deepEqual(created.map(({ status, code }) => code ?? String(status)).toSorted(), [
      "201",
      "201",
      "instances_full",
    ]);
    assert.equal((await assertNoOrphans(url, new Map([["a", wolf]]))).length, 3);
    assert.equal((await api(url, "DELETE", `/api/v1/sessions/${session.id}`, { token: alice })).status, 204);
    assert.ok(second.running);
    assert.deepEqual(await after.end(), { code: 0, signal: null });
  });

  it("responds 503, and not 404, for a runner that is not back by the end of the warm-up", async () => {
    const dataDirectory = directoryPath();
    const options = {
      port: 0,
      host: "127.0.0.1",
      adminToken: ADMIN_TOKEN,
      dataDirectory,
      extensions: [helix()],
    };
    const before = await createControlPlane(options);
    const agent = await connectWeb(before);
    await before.close();
    await agent.close();
    await using after = await createControlPlane({ ...options, warmUpMs: 50, graceMs: 5_000 });
    const url = `http://127.0.0.1:${after.port}`;
    assert.equal(after.runners()[0]?.state, "reconnecting");
    const response = await call(`${url}/api/v1/runners/web/targets/x/`);
    assert.deepEqual([response.status, errorCode(response)], [503, "runner_offline"]);
    assert.equal(after.runners()[0]?.state, "gone");
    const never = await call(`${url}/api/v1/runners/never/targets/x/`);
    assert.deepEqual([never.status, errorCode(never)], [404, "runner_unknown"]);
  });

  it("holds a runner for the credential that it had", async () => {
    const dataDirectory = directoryPath();
    const options = {
      port: 0,
      host: "127.0.0.1",
      adminToken: ADMIN_TOKEN,
      dataDirectory,
      extensions: [helix()],
    };
    const before = await createControlPlane(options);
    const agent = await connectWeb(before);
    const thief = await issueToken(`http://127.0.0.1:${before.port}`, {
      id: "thief",
      kind: "runner",
      runners: ["*"],
    });
    await before.close();
    await agent.close();
    await using after = await createControlPlane(options);
    const request = await call(`http://127.0.0.1:${after.port}/api/v1/revdial?runnerid=web`, {
      token: thief,
      headers: { connection: "Upgrade", upgrade: "ptth", alpn: "h2" },
    });
    assert.deepEqual([request.status, errorCode(request)], [409, "runner_taken"]);
  });

  it("marks the sessions lost whose instance does not come back in the warm-up", async () => {
    const dataDirectory = directoryPath();
    let id = "";
    {
      await using stand = await startSessions({ controlPlane: { dataDirectory } });
      ({ id } = await newSession(stand.url));
    }
    await using stand = await startSessions({ agents: false, controlPlane: { dataDirectory, warmUpMs: 50 } });
    await stand.event("session-lost", id);
    assert.equal((await listSessions(stand.url))[0]?.state, "lost");
  });

  it("takes down a session's token that was left behind without its session", async () => {
    const dataDirectory = directoryPath();
    {
      await using stand = await startSessions({ controlPlane: { dataDirectory } });
      await newSession(stand.url);
    }
    const database = new DatabaseSync(join(dataDirectory, "turnabout.db"));
    database.exec("DELETE FROM sessions");
    database.close();
    await using stand = await startSessions({ agents: false, controlPlane: { dataDirectory } });
    assert.deepEqual((await api(stand.url, "GET", "/api/v1/tokens")).body, { tokens: [] });
  });

  it("ends in an embedding process without a trace: no timer of it runs on", async () => {
    const stand = await startSessions({ controlPlane: { graceMs: 20, warmUpMs: 20 } });
    await newSession(stand.url);
    await stand.system.controlPlane.close(); // its agent loses it, and not the other way round
    await stand[Symbol.asyncDispose]();
    // Another's grace, as long and begun later: a timer that ran on would have found its database closed by then.
    await using later = await startSessions({ controlPlane: { graceMs: 20 } });
    await later.system.agent.close();
    await later.event("grace-expired", "wolf-a");
    assert.ok(!stand.events.all.some(({ type }) => type === "grace-expired"));
  });
});

describe("the data directory", () => {
  it("is its owner's alone, and holds no secret in plain", async () => {
    const dataDirectory = directoryPath();
    await using stand = await startSessions({ controlPlane: { dataDirectory } });
    const secrets = [
      await issueToken(stand.url, { id: "alice", kind: "user" }),
      await issueToken(stand.url, { id: "wolf", kind: "runner", runners: ["wolf-*"] }),
      ADMIN_TOKEN,
    ];
    await newSession(stand.url);
    const env = stand.wolf("a").state.lobbies[0]?.runner["env"] as string[];
    secrets.push(env.find((entry) => entry.startsWith("USER_API_TOKEN="))?.slice(15) ?? assert.fail());
    assert.equal(statSync(dataDirectory).mode & 0o777, 0o700);
    const names = readdirSync(dataDirectory);
    assert.ok(names.includes("turnabout.db"));
    for (const name of names) {
      const path = join(dataDirectory, name);
      assert.equal(statSync(path).mode & 0o777, 0o600, name);
      const bytes = readFileSync(path);
      for (const secret of secrets) assert.ok(!bytes.includes(secret), `${name} holds no secret`);
    }
  });

  it("of a newer version is refused, with what to do", async () => {
    const dataDirectory = directoryPath();
    mkdirSync(dataDirectory);
    const database = new DatabaseSync(join(dataDirectory, "turnabout.db"));
    database.exec("PRAGMA user_version = 99");
    database.close();
    const { code, stderr } = await run("turnabout", ["serve", "--port", "0", "--data-dir", dataDirectory], {
      env: { TURNABOUT_ADMIN_TOKEN: ADMIN_TOKEN },
    });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^error: the database has schema version 99, this program knows \d: run the newer version/,
    );
  });

  it("that cannot be used is an error that names it", async () => {
    const path = tempPath(".txt");
    writeFileSync(path, "not a directory");
    const notDatabase = directoryPath();
    mkdirSync(notDatabase);
    writeFileSync(
      join(notDatabase, "turnabout.db"),
      "this is no database at all, however long it may be".repeat(100),
    );
    for (const dataDirectory of [path, notDatabase]) {
      await assert.rejects(
        createControlPlane({ port: 0, adminToken: ADMIN_TOKEN, dataDirectory }),
        (error: unknown) =>
          error instanceof TurnaboutError &&
          error.code === "config_invalid" &&
          error.message.includes(`data directory ${dataDirectory}`),
      );
    }
    chmodSync(path, 0o600);
  });

  it("is let go where the control plane cannot start", async () => {
    const dataDirectory = directoryPath();
    const tokenFile = tempPath(".json");
    await assert.rejects(createControlPlane({ port: 0, adminToken: ADMIN_TOKEN, dataDirectory, tokenFile }));
    await using taken = await createControlPlane({ port: 0, adminToken: ADMIN_TOKEN, host: "127.0.0.1" });
    await assert.rejects(
      createControlPlane({ port: taken.port, host: "127.0.0.1", adminToken: ADMIN_TOKEN, dataDirectory }),
      /EADDRINUSE/,
    );
    await using good = await createControlPlane({ port: 0, adminToken: ADMIN_TOKEN, dataDirectory });
    assert.ok(good.port > 0);
  });
});
