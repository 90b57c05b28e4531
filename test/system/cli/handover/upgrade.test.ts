/** An upgrade in place: a new process takes the place of a control plane that serves. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { Command, run, startAgent, startServe } from "../../../support/commands.ts";
import { EventLog } from "../../../support/event-log.ts";
import { next, within } from "../../../support/events.ts";
import { bodyOf, call, open, runnersUntil, targetUrl } from "../../../support/http.ts";
import { assertNothingOpen } from "../../../support/nothing-open.ts";
import { createPki, issueServer } from "../../../support/pki.ts";
import { commandLineOf, endProcess, gone, listener } from "../../../support/processes.ts";
import { ADMIN_TOKEN } from "../../../support/system.ts";
import { startHttpTarget } from "../../../support/target.ts";
import { tempPath } from "../../../support/temp.ts";
import { Traffic } from "../../../support/traffic.ts";

afterEach(() => assertNothingOpen());

const MOONLIGHT_SECRET = "m00nlight-secret";

function isConnected(runners: { state: string }[]): boolean {
  return runners[0]?.state === "connected";
}

/** A folder with a data directory and a token file that is valid. */
function place(): { data: string; tokens: string } {
  const folder = tempPath("");
  mkdirSync(folder);
  const tokens = join(folder, "tokens.json");
  writeFileSync(tokens, '{ "tokens": [] }');
  return { data: join(folder, "data"), tokens };
}

/** As an editor or a deployment replaces it. */
function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

async function issueToken(url: string, id: string): Promise<{ status: number; token: string }> {
  const body = JSON.stringify({ id, kind: "admin" });
  const headers = { "content-type": "application/json" };
  const response = await call(`${url}/api/v1/tokens`, { method: "POST", body, headers });
  const { token = "" } = JSON.parse(response.body) as { token?: string };
  return { status: response.status, token };
}

describe("an upgrade in place", () => {
  it("refuses no connection, loses no request, and hands over what is stored", async () => {
    const halves = new EventLog<ServerResponse>();
    await using target = await startHttpTarget((request, response) => {
      if (request.url !== "/slow") return void response.end("small");
      response.write("first half, ");
      halves.push(response);
    });
    const { data, tokens } = place();
    await using old = await startServe(["--data-dir", data, "--token-file", tokens, "--drain", "20"], {
      env: { MOONLIGHT_CREDENTIALS: MOONLIGHT_SECRET },
    });
    await using agent = startAgent(old.url, "web", `web=${target.address}`);
    await runnersUntil(old.url, isConnected, "the agent");
    const { token } = await issueToken(old.url, "before");
    const slow = await open(targetUrl(old.url, "web", "web", "/slow"));
    await next(slow, "readable");
    await using traffic = new Traffic(targetUrl(old.url, "web", "web"));
    await traffic.responses(20);

    const upgraded = await run("turnabout", ["upgrade", "--data-dir", data]);
    await using successor = await listener(old, 2);
    assert.deepEqual(
      { code: upgraded.code, stdout: upgraded.stdout, stderr: upgraded.stderr },
      { code: 0, stdout: String(successor.pid), stderr: "" },
    );
    assert.notEqual(successor.pid, old.pid);
    await traffic.responses(100);
    assert.deepEqual((await traffic.stop()).failures, []);
    assert.ok(agent.running);

    (await halves.find(() => true, "the slow request")).end("second half");
    assert.equal(await bodyOf(slow), "first half, second half");
    const [code] = old.child.exitCode === null ? await once(old.child, "exit") : [old.child.exitCode];
    assert.equal(code, 0);

    assert.equal((await call(`${old.url}/api/v1/runners`, { token })).status, 200, "issued before");
    assert.equal((await call(`${old.url}/api/v1/runners`)).status, 200, "the admin token of the environment");
    for (const secret of [ADMIN_TOKEN, MOONLIGHT_SECRET, token])
      assert.ok(!commandLineOf(successor.pid).includes(secret) && !old.stderr.includes(secret));

    // The successor has a successor, by a signal.
    endProcess(successor.pid, "SIGUSR2");
    await using third = await listener(old, 3);
    await gone(successor.pid);
    assert.equal((await call(`${old.url}/api/v1/runners`, { token })).status, 200);
    endProcess(third.pid, "SIGTERM");
    await within(old.exited, "the end of all of them", 60_000);
  });

  it("leaves the old process serving with its store where the new one cannot start", async () => {
    const pki = await createPki();
    const { cert, key } = await issueServer(pki);
    const { data, tokens } = place();
    const [certFile, keyFile] = [tempPath(".crt"), tempPath(".key")];
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
    const tls = ["--tls-cert", certFile, "--tls-key", keyFile];
    await using serve = await startServe(["--data-dir", data, "--token-file", tokens, ...tls]);
    const failed = async (reason: RegExp): Promise<void> => {
      const from = serve.lines.length;
      const { code, stderr } = await run("turnabout", ["upgrade", "--data-dir", data]);
      assert.equal(code, 1);
      assert.match(stderr, reason);
      assert.match(stderr, /^hint: /m);
      await serve.logged("upgrade failed: this version goes on serving", from);
    };

    replaceFile(tokens, "not JSON");
    await failed(/^error: token file .*tokens\.json: not valid JSON/m);
    assert.equal((await issueToken(serve.url, "after-tokens")).status, 201);
    replaceFile(tokens, '{ "tokens": [] }');
    replaceFile(certFile, "no certificate");
    await failed(/^error: --tls-cert .*\.crt/m);
    const { status, token } = await issueToken(serve.url, "after-certificate");
    assert.equal(status, 201);

    replaceFile(certFile, cert);
    assert.equal((await run("turnabout", ["upgrade", "--data-dir", data])).code, 0);
    await using successor = await listener(serve, 2);
    const secure = `https://localhost:${serve.port}/api/v1/runners`;
    assert.equal((await call(secure, { ca: pki.ca, token })).status, 200);
    endProcess(successor.pid, "SIGTERM");
    await within(serve.exited, "the end of both", 60_000);
  });

  it("opens the store again if the new process fails after it has got it", async () => {
    const script = new URL("./failing-successor.child.ts", import.meta.url);
    const args = ["serve", "--host", "127.0.0.1", "--port", "0", "--data-dir", place().data];
    await using serve = new Command(script, args, { env: { TURNABOUT_ADMIN_TOKEN: ADMIN_TOKEN } });
    const { port } = await serve.logged("control plane listens");
    serve.signal("SIGUSR2");
    const { reason } = await serve.logged("upgrade failed: this version goes on serving");
    assert.equal(reason, "the process ended before it served: status 3");
    await serve.logged("store: data directory handed over");
    assert.equal((await issueToken(`http://127.0.0.1:${Number(port)}`, "after")).status, 201);
    assert.equal((await serve.end()).code, 0);
  });

  it("needs a data directory: what is in memory cannot be handed over", async () => {
    await using serve = await startServe();
    serve.signal("SIGUSR2");
    const { reason } = await serve.logged("upgrade failed: this version goes on serving");
    assert.equal(reason, "no data directory: what is in memory would be lost");
    assert.equal((await call(`${serve.url}/healthz`)).status, 200);
    assert.deepEqual(await serve.end(), { code: 0, signal: null });
  });

  it("happens once at a time, and SIGTERM ends both processes", async () => {
    await using serve = await startServe(["--data-dir", place().data]);
    serve.signal("SIGUSR2");
    await serve.logged("upgrade: starting a successor");
    serve.signal("SIGUSR2");
    const { reason } = await serve.logged("upgrade: ignored");
    assert.equal(reason, "another upgrade is running");
    serve.signal("SIGTERM");
    await serve.logged("draining; a second signal exits at once");
    // Their output is one pipe: it is closed when both have ended.
    assert.deepEqual(await within(serve.exited, "the end of both", 60_000), { code: 0, signal: null });
  });
});

describe("turnabout upgrade", () => {
  it("reports that no control plane uses the directory", async () => {
    const { data } = place();
    mkdirSync(data);
    const { code, stderr } = await run("turnabout", ["upgrade", "--data-dir", data]);
    assert.equal(code, 1);
    assert.match(stderr, /^error: .*control\.sock: no control plane uses this data directory$/m);
    assert.equal((await run("turnabout", ["upgrade"])).code, 2);
  });
});
