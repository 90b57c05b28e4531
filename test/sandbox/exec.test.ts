/** Programs that callers may run. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { exchangeRaw } from "../support/raw-http.ts";
import { until } from "./desktop.ts";
import { startServer } from "./server.ts";
import type { TestServer } from "./server.ts";

const runtimeFolder = "/nonexistent";

async function exec(server: TestServer, body: unknown): Promise<unknown> {
  const response = await server.post("/exec", body);
  assert.equal(response.status, 200);
  return response.json();
}

async function isRunning(pid: number): Promise<boolean> {
  try {
    return !/\) Z /.test(await readFile(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

test("runs allowed programs, and reports how they ended", async () => {
  await using server = await startServer({
    runtimeFolder,
    execAllowed: ["echo", "ls", "sh", "nosuchprogram"],
  });
  assert.deepEqual(await exec(server, { command: ["echo", "a", "b c"] }), {
    success: true,
    output: "a b c",
    exit_code: 0,
  });
  assert.deepEqual(await exec(server, { command: ["sh", "-c", "echo out; echo err >&2; exit 3"] }), {
    success: false,
    output: "out\nerr",
    error: "exit status 3",
    exit_code: 3,
  });
  assert.deepEqual(
    await exec(server, { command: ["sh", "-c", "echo $TERM $XDG_RUNTIME_DIR"], env: { TERM: "x" } }),
    {
      success: true,
      output: "x /nonexistent",
      exit_code: 0,
    },
  );
  assert.deepEqual(await exec(server, { command: ["nosuchprogram"] }), {
    success: false,
    error: 'exec: "nosuchprogram": executable file not found in $PATH',
    exit_code: -1,
  });
  assert.deepEqual(await exec(server, { command: ["nosuchprogram"], background: true }), {
    success: false,
    error: 'exec: "nosuchprogram": executable file not found in $PATH',
    exit_code: -1,
  });
});

test("refuses every other program, paths and variables that change what runs", async () => {
  await using server = await startServer({ runtimeFolder });
  const refuse = async (body: unknown, status: number, text: string): Promise<void> => {
    const response = await server.post("/exec", body);
    assert.deepEqual([response.status, await response.text()], [status, `${text}\n`]);
  };
  await refuse({ command: ["sh", "-c", "id"] }, 403, "command not allowed: sh");
  await refuse({ command: ["/bin/echo"] }, 403, "command not allowed: /bin/echo");
  await refuse({ command: ["../bin/echo"] }, 403, "command not allowed: ../bin/echo");
  for (const name of ["LD_PRELOAD", "PATH", "VK_ICD_FILENAMES", "NODE_OPTIONS"]) {
    await refuse({ command: ["echo"], env: { [name]: "x" } }, 403, `variable not allowed: ${name}`);
  }
  await refuse({ command: [] }, 400, "command is required");
  await refuse({}, 400, "command is required");
  await refuse({ command: ["echo", "a\0b"] }, 400, "invalid request");
  assert.equal((await server.post("/exec", "{")).status, 400);
  assert.equal((await server.request("/exec")).status, 405);
});

test("none of our own variables reach a program", async () => {
  process.env["USER_API_TOKEN"] = "secret";
  try {
    await using server = await startServer({ runtimeFolder, execAllowed: ["env"] });
    const { output } = (await exec(server, { command: ["env"] })) as { output: string };
    assert.match(output, /^PATH=/m);
    assert.doesNotMatch(output, /secret/);
  } finally {
    delete process.env["USER_API_TOKEN"];
  }
});

test("ends a program and its children at its timeout, and keeps a bounded part of its output", async () => {
  await using server = await startServer({ runtimeFolder, execAllowed: ["sh"] });
  const late = (await exec(server, {
    command: ["sh", "-c", "sleep 1000 & echo $!; wait"],
    timeout: 0.2,
  })) as {
    output: string;
  };
  assert.deepEqual(late, {
    success: false,
    output: late.output,
    error: "timed out after 0.2 s",
    exit_code: -1,
  });
  await until("its child has ended", async () => !(await isRunning(Number(late.output))));
  const much = (await exec(server, { command: ["sh", "-c", "yes | head -c 3000000"] })) as { output: string };
  assert.equal(much.output.length, 1024 * 1024 - 1);
});

test("a program ends when its caller disconnects", async () => {
  await using server = await startServer({ runtimeFolder, execAllowed: ["sleep", "pgrep"] });
  const caller = new AbortController();
  const aborted = server.request("/exec", {
    method: "POST",
    body: JSON.stringify({ command: ["sleep", "98765"] }),
    signal: caller.signal,
  });
  const sleeps = async (): Promise<string | undefined> =>
    ((await exec(server, { command: ["pgrep", "-fx", "sleep 98765"] })) as { output?: string }).output;
  await until("it runs", async () => (await sleeps()) !== undefined);
  caller.abort();
  await assert.rejects(aborted, { name: "AbortError" });
  await until("it has ended", async () => (await sleeps()) === undefined);
});

test("a program in the background runs until the server ends", async () => {
  const server = await startServer({ runtimeFolder, execAllowed: ["sleep"] });
  const started = (await exec(server, { command: ["sleep", "1000"], background: true })) as { pid: number };
  assert.deepEqual(started, { success: true, exit_code: 0, pid: started.pid });
  assert.ok(await isRunning(started.pid));
  await server.server.close();
  assert.equal(await isRunning(started.pid), false);
});

test("an upgrade that is pipelined behind a response under way is refused behind it, and the connection ends", async () => {
  await using server = await startServer({ runtimeFolder, execAllowed: ["sh"] });
  const upgrade =
    "GET /ws/clipboard HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  const body = JSON.stringify({ command: ["sh", "-c", "sleep 0.1; echo out"] });
  const post =
    "POST /exec HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
    `Content-Length: ${body.length}\r\n\r\n${body}`;
  const { text, statuses } = await exchangeRaw(server.server.port, post + upgrade);
  assert.deepEqual(statuses, [200, 400], text);
  assert.match(text, /"output":"out"[^]*HTTP\/1\.1 400 /);
});
