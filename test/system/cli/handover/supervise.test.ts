/** `turnabout serve --supervise`: a process that holds the port, and one that serves on it. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import { Command, run, startAgent, startServe } from "../../../support/commands.ts";
import { within } from "../../../support/events.ts";
import { call, runnersUntil, targetUrl } from "../../../support/http.ts";
import { assertNothingOpen } from "../../../support/nothing-open.ts";
import { endProcess, gone, listener } from "../../../support/processes.ts";
import { ADMIN_TOKEN } from "../../../support/system.ts";
import { startHttpTarget, startTarget } from "../../../support/target.ts";
import { tempPath } from "../../../support/temp.ts";
import { Traffic } from "../../../support/traffic.ts";

afterEach(() => assertNothingOpen());

describe("turnabout serve --supervise", () => {
  it("refuses no connection when its process is killed or upgraded", async () => {
    const data = tempPath("-data");
    await using target = await startHttpTarget((_request, response) => response.end("small"));
    await using supervisor = await startServe(["--supervise", "--data-dir", data]);
    await using first = await listener(supervisor, 1);
    assert.notEqual(first.pid, supervisor.pid);
    await using agent = startAgent(supervisor.url, "web", `web=${target.address}`);
    await runnersUntil(supervisor.url, ([web]) => web?.state === "connected", "the agent");
    await using traffic = new Traffic(targetUrl(supervisor.url, "web", "web"));
    await traffic.responses(20);

    endProcess(first.pid, "SIGKILL");
    await using second = await listener(supervisor, 2);
    await traffic.responses(50);
    const { failures } = await traffic.stop();
    assert.ok(!failures.includes("ECONNREFUSED"), failures.join(" "));
    assert.ok(failures.length <= 4, failures.join(" ")); // requests that the killed process had accepted

    await using others = new Traffic(targetUrl(supervisor.url, "web", "web"));
    await others.responses(20);
    const upgraded = await run("turnabout", ["upgrade", "--data-dir", data]);
    await using third = await listener(supervisor, 3);
    assert.deepEqual([upgraded.code, upgraded.stdout], [0, String(third.pid)]);
    await gone(second.pid);
    await others.responses(20);
    assert.deepEqual((await others.stop()).failures, []);
    assert.ok(agent.running && supervisor.running);

    assert.deepEqual(await supervisor.end(), { code: 0, signal: null });
    await gone(third.pid);
  });

  it("goes on with the old process where a new one cannot start, and reports why", async () => {
    const [data, tokens] = [tempPath("-data"), tempPath(".json")];
    writeFileSync(tokens, '{ "tokens": [] }');
    await using supervisor = await startServe(["--supervise", "--data-dir", data, "--token-file", tokens]);
    await using child = await listener(supervisor, 1);
    writeFileSync(tokens, "not JSON");
    const { code, stderr } = await run("turnabout", ["upgrade", "--data-dir", data]);
    assert.equal(code, 1);
    assert.match(stderr, /^error: token file \S+: not valid JSON/m);
    const issued = { method: "POST", body: '{"id":"bob","kind":"admin"}' };
    const headers = { "content-type": "application/json" };
    assert.equal((await call(`${supervisor.url}/api/v1/tokens`, { ...issued, headers })).status, 201);

    // Nor can one start after a crash: it gives up, with the last one's status.
    endProcess(child.pid, "SIGKILL");
    assert.deepEqual(await within(supervisor.exited, "the supervisor's end", 60_000), {
      code: 1,
      signal: null,
    });
    await supervisor.logged("supervisor: giving up");
  });

  it("ends at once with the status of a first start that fails", async () => {
    const { code, stderr } = await run("turnabout", ["serve", "--supervise", "--port", "0"]);
    assert.equal(code, 2);
    assert.match(stderr, /error: no tokens given/);
  });

  it("refuses a port that another process has", async () => {
    await using other = await startTarget(() => {});
    const { port } = new URL(`http://${other.address}`);
    const args = ["serve", "--supervise", "--host", "127.0.0.1", "--port", port];
    const { code, stderr } = await run("turnabout", args, { env: { TURNABOUT_ADMIN_TOKEN: ADMIN_TOKEN } });
    assert.equal(code, 1);
    assert.match(stderr, /EADDRINUSE/);
    assert.match(stderr, /hint: another process listens on it/);
  });

  it("leaves no process behind when it is killed itself", async () => {
    await using supervisor: Command = await startServe(["--supervise"]);
    await using child = await listener(supervisor, 1);
    supervisor.signal("SIGKILL");
    await gone(child.pid);
    await supervisor.exited;
  });
});
