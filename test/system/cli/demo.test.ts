import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import { isDeepStrictEqual, promisify } from "node:util";
import { Command } from "../../support/commands.ts";
import { within } from "../../support/events.ts";
import { call, listRunners, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { missing } from "../../support/parts.ts";
import { refusingAddress } from "../../support/target.ts";
import { tempPath } from "../../support/temp.ts";

afterEach(() => assertNothingOpen());

const shell = promisify(execFile);

function newFolder(): string {
  const folder = tempPath("");
  mkdirSync(folder);
  return folder;
}

/** With a folder for temporary files of its own, so that it is seen what is left in it. */
function startDemo(port: number, temporary: string): Command {
  return new Command("turnabout", ["demo", "--port", String(port)], { env: { TMPDIR: temporary } });
}

async function freePort(): Promise<number> {
  return Number((await refusingAddress()).split(":").at(-1));
}

/** Whatever is left of it. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // it has ended
  }
}

describe("turnabout demo", () => {
  it("as `npm start` runs it, is ended by a signal to the shell in between", async () => {
    const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: { start: string } };
    const own = { PATH: `node_modules/.bin:${process.env["PATH"] ?? ""}`, TMPDIR: newFolder() };
    const npm = spawn("sh", ["-c", `${scripts.start} --port 0`], {
      env: { ...process.env, ...own },
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    try {
      const closed = once(npm, "close"); // when the last process that has the pipe ends
      let printed = "";
      for await (const chunk of npm.stdout.iterator({ destroyOnReturn: false })) {
        printed += String(chunk);
        if (printed.includes("Ctrl-C ends it.")) break;
      }
      npm.stdout.resume();
      npm.kill("SIGTERM");
      await within(closed, "the demo ends");
    } finally {
      endGroup(npm.pid);
    }
  });

  it("prints lines that work as they are", { skip: missing("curl") }, async () => {
    await using demo = startDemo(0, newFolder());
    await demo.output.find((line) => line === "Ctrl-C ends it.", "the printed lines", { timeoutMs: 60_000 });
    const url = /page +(\S+)\/ /.exec(demo.stdout)?.[1] ?? "";
    const token = /admin token +(\S+)/.exec(demo.stdout)?.[1] ?? "";
    assert.equal((await call(`${url}/readyz`)).status, 200);

    const printed = demo.output.all.map((line) => line.trim()).filter((line) => line.startsWith("curl "));
    assert.equal(printed.length, 10);
    const cwd = newFolder();
    for (const command of printed.slice(0, 6)) {
      if (command.includes("/api/v1/events")) {
        await showsEvents(command, url, token);
        continue;
      }
      const { stdout } = await shell("bash", ["-c", command], { cwd, encoding: "utf8" });
      if (command.includes("-o screenshot.png")) {
        const signature = readFileSync(`${cwd}/screenshot.png`).subarray(1, 4).toString("latin1");
        assert.equal(signature, "PNG");
      } else if (command.endsWith("/api/v1/runners")) {
        const { runners } = JSON.parse(stdout) as { runners: { id: string; state: string }[] };
        assert.deepEqual(runners.map(({ id, state }) => `${id} ${state}`).toSorted(), [
          "moonlight-local connected",
          "sandbox-ses_demo connected",
          "wolf-local connected",
        ]);
      } else {
        assert.equal((JSON.parse(stdout) as { success: boolean }).success, true, command);
      }
    }
    await demo.end("SIGINT");
  });

  it("shows a whole session with the commands that it prints", { skip: missing("curl") }, async () => {
    await using demo = startDemo(0, newFolder());
    await demo.output.find((line) => line === "Ctrl-C ends it.", "the printed lines", { timeoutMs: 60_000 });
    const printed = demo.output.all.map((line) => line.trim());
    const url = /page +(\S+)\/ /.exec(demo.stdout)?.[1] ?? "";
    const token = /admin token +(\S+)/.exec(demo.stdout)?.[1] ?? "";
    const script = printed
      .slice(
        printed.findIndex((line) => line.startsWith("# a session:")),
        -1,
      )
      .join("\n");
    const cwd = newFolder();
    const { stdout } = await shell("bash", ["-euc", script], { cwd, encoding: "utf8" });
    assert.match(stdout, /"title":"Sway Desktop"/);
    const picture = readFileSync(`${cwd}/session.png`);
    assert.equal(picture.subarray(1, 4).toString("latin1"), "PNG", picture.toString("latin1", 0, 300));
    const sessions = await call(`${url}/api/v1/sessions`, { token });
    assert.equal(sessions.body, '{"sessions":[]}');
    const { id } = JSON.parse(readFileSync(`${cwd}/session.json`, "utf8")) as { id: string };
    const gone = await call(`${url}/api/v1/external-agents/${id}/screenshot`, { token });
    assert.equal(gone.status, 404);
    await demo.end("SIGINT");
  });

  it("is not ready before its agents are; Ctrl-C ends it, and no file and no process is left", async () => {
    const temporary = newFolder();
    const port = await freePort();
    await using demo = startDemo(port, temporary);
    const seen: number[] = [];
    const deadline = performance.now() + 60_000;
    while (seen.at(-1) !== 200 && performance.now() < deadline) {
      const status = await statusOf(`http://127.0.0.1:${port}/readyz`);
      if (status !== 0 && status !== seen.at(-1)) seen.push(status);
    }
    // A busy machine may miss the 503; what 200 says holds at once, and there is no way back.
    assert.ok(
      [[200], [503, 200]].some((statuses) => isDeepStrictEqual(seen, statuses)),
      String(seen),
    );
    await demo.output.find((line) => line === "Ctrl-C ends it.", "the printed lines", { timeoutMs: 60_000 });
    const token = /admin token +(\S+)/.exec(demo.stdout)?.[1] ?? "";
    const runners = await listRunners(`http://127.0.0.1:${port}`, { token });
    assert.deepEqual(runners.map(({ id, state }) => `${id} ${state}`).toSorted(), [
      "moonlight-local connected",
      "sandbox-ses_demo connected",
      "wolf-local connected",
    ]);
    assert.notDeepEqual(readdirSync(temporary), []);
    const family = [demo.pid, ...descendants(demo.pid)];
    assert.deepEqual(await demo.end("SIGINT"), { code: 0, signal: null });
    assert.deepEqual(readdirSync(temporary), []);
    assert.deepEqual(family.filter(isAlive), []);
  });

  it("leaves nothing behind either when Ctrl-C comes while it is still starting", async () => {
    const temporary = newFolder();
    const port = await freePort();
    await using demo = startDemo(port, temporary);
    const listens = async (): Promise<void> => {
      while ((await statusOf(`http://127.0.0.1:${port}/healthz`)) !== 200);
    };
    await within(listens(), "the first response", 60_000);
    const family = [demo.pid, ...descendants(demo.pid)];
    await demo.end("SIGINT");
    assert.deepEqual(readdirSync(temporary), []);
    assert.deepEqual(family.filter(isAlive), []);
  });
});

/** The command does not end: Wolf is made to emit events until it has printed one. */
async function showsEvents(command: string, url: string, token: string): Promise<void> {
  const curl = spawn("bash", ["-c", `exec ${command}`], { stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(curl, "close");
  let text = "";
  curl.stdout.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  const body = JSON.stringify({ lobby_id: "none", moonlight_session_id: "none" });
  const provoke = targetUrl(url, "wolf-local", "wolf", "/api/v1/lobbies/leave");
  const deadline = performance.now() + 60_000;
  while (!text.includes("LeaveLobbyEvent") && performance.now() < deadline) {
    assert.equal((await call(provoke, { method: "POST", body, token })).status, 200);
  }
  curl.kill();
  await closed;
  assert.match(text, /^event: ?\S*LeaveLobbyEvent$/m);
}

/** 0 while nothing listens. */
function statusOf(url: string): Promise<number> {
  return call(url).then(
    ({ status }) => status,
    () => 0,
  );
}

function descendants(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  if (children === "") return [];
  return children
    .split(" ")
    .map(Number)
    .flatMap((child) => [child, ...descendants(child)]);
}

/** A zombie that nobody reaps, in a container without init, is dead. */
function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
}
