/** Real clients of real services through `turnabout forward` and `turnabout connect`. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { afterEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { closedAtTheEnd } from "../support/cleanup.ts";
import { Command, startAgent, startServe } from "../support/commands.ts";
import type { ServeCommand } from "../support/commands.ts";
import { within } from "../support/events.ts";
import { missing } from "../support/parts.ts";
import { createPki, issueServer } from "../support/pki.ts";
import { ADMIN_TOKEN } from "../support/system.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { startPostgres } from "./services/postgres.ts";
import { startSshServer } from "./services/ssh-server.ts";

afterEach(() => assertNothingOpen());

const execute = promisify(execFile);
const COPY_BYTES = 50 * 1024 * 1024;
const SCP_BYTES = 100 * 1024 * 1024;

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function environment(serve: ServeCommand): NodeJS.ProcessEnv {
  return { ...process.env, TURNABOUT_SERVER: serve.url, TURNABOUT_TOKEN: ADMIN_TOKEN };
}

describe("psql through turnabout forward", { skip: missing("psql") }, () => {
  it("queries with TLS, copies 50 MB both ways, cancels, and goes on after a restart of the agent", async () => {
    await using postgres = startPostgres(await freePort(), await issueServer(await createPki()));
    await using serve = await startServe();
    const target = `postgres=127.0.0.1:${postgres.port}`;
    const agent = startAgent(serve.url, "db-1", target);
    await serve.logged("agent connected");
    const env = environment(serve);
    await using forward = new Command("turnabout", ["forward", "0=db-1/postgres"], {
      env: { TURNABOUT_SERVER: serve.url, TURNABOUT_TOKEN: ADMIN_TOKEN },
    });
    const line = await forward.output.find((text) => text.includes("-> db-1/postgres"), "the local port");
    const port = /:(\d+) ->/.exec(line)?.[1] ?? assert.fail(line);
    const url = `host=127.0.0.1 port=${port} user=postgres dbname=postgres sslmode=require`;
    const psql = spawn("psql", [url, "--no-psqlrc", "-qAt"], { env, stdio: ["pipe", "pipe", "inherit"] });
    closedAtTheEnd(async () => void psql.kill("SIGKILL"));
    const closed = once(psql, "close");
    let output = "";
    psql.stdout.on("data", (chunk: Buffer) => (output += String(chunk)));
    const query = async (sql: string, mark: string): Promise<void> => {
      psql.stdin.write(`${sql}\n\\echo ${mark}\n`);
      while (!output.includes(`${mark}\n`)) await within(once(psql.stdout, "data"), mark, 60_000);
    };
    await query("select ssl from pg_stat_ssl where pid = pg_backend_pid();", "tls-done");
    assert.match(output, /^t$/m);

    const folder = mkdtempSync(path.join(os.tmpdir(), "turnabout-copy-"));
    closedAtTheEnd(async () => rmSync(folder, { recursive: true, force: true }));
    const [rows, back] = [path.join(folder, "rows"), path.join(folder, "back")];
    const row = `${randomBytes(511).toString("hex")}\n`;
    writeFileSync(rows, row.repeat(Math.ceil(COPY_BYTES / row.length)));
    await query(`create table t (v text); \\copy t from ${rows}`, "copied-in");
    await query(`\\copy t to ${back}`, "copied-out");
    assert.equal(await sha256(back), await sha256(rows));

    // A cancel request is a connection of its own (PQcancel), sent at SIGINT.
    const sleeper = spawn("psql", [url, "-c", "select pg_sleep(600)"], {
      env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const ended = once(sleeper, "close");
    const sleeping = "select count(*) from pg_stat_activity where query like 'select pg_sleep%'";
    while ((await execute("psql", [url, "-qAt", "-c", sleeping], { env })).stdout.trim() !== "1");
    let complaint = "";
    sleeper.stderr.on("data", (chunk: Buffer) => (complaint += String(chunk)));
    sleeper.kill("SIGINT");
    await within(ended, "the end of the statement", 60_000);
    assert.match(complaint, /canceling statement due to user request/);

    psql.stdin.end();
    await within(closed, "the end of psql");
    await agent.end();
    await using _next = startAgent(serve.url, "db-1", target);
    const after = await execute("psql", [url, "-qAt", "-c", "select 'after-restart'"], { env });
    assert.equal(after.stdout, "after-restart\n");
  });
});

describe("ssh by turnabout connect", { skip: missing("sshd") }, () => {
  it("carries scp of 100 MB both ways", async () => {
    const port = await freePort();
    await using server = await startSshServer(port);
    const { clientOptions, user } = server;
    await using serve = await startServe();
    await using _agent = startAgent(serve.url, "host-1", `ssh=127.0.0.1:${port}`);
    await serve.logged("agent connected");
    const folder = mkdtempSync(path.join(os.tmpdir(), "turnabout-scp-"));
    closedAtTheEnd(async () => rmSync(folder, { recursive: true, force: true }));
    const [sent, there, back] = ["sent", "there", "back"].map((name) => path.join(folder, name));
    assert.ok(sent !== undefined && there !== undefined && back !== undefined);
    writeFileSync(sent, randomBytes(SCP_BYTES));
    const program = fileURLToPath(new URL("../../src/cli/turnabout.ts", import.meta.url));
    const proxy = `-oProxyCommand="${process.execPath}" "${program}" connect host-1/ssh`;
    const options = { env: environment(serve), timeout: 120_000 };
    await execute("scp", [...clientOptions, proxy, sent, `${user}@host-1:${there}`], options);
    await execute("scp", [...clientOptions, proxy, `${user}@host-1:${there}`, back], options);
    assert.equal(await sha256(there), await sha256(sent));
    assert.equal(await sha256(back), await sha256(sent));
    const { stdout } = await execute(
      "ssh",
      [...clientOptions, proxy, `${user}@host-1`, "echo from-the-host"],
      options,
    );
    assert.equal(stdout, "from-the-host\n");
  });
});

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}
