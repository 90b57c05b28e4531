/** The containers' start scripts, without a container: what they share keeps parts running, and secrets secret. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { globSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { processesWith } from "../e2e/processes.ts";
import { EventLog } from "../support/event-log.ts";
import { eventually, next, pause } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { missing } from "../support/parts.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const LIB = join(ROOT, "agents/lib");
const EXIT_TIMEOUT_MS = 20_000;

afterEach(() => assertNothingOpen());

it("has scripts without shellcheck findings", { skip: missing("shellcheck") }, () => {
  const scripts = globSync(
    ["agents/*/*.sh", "agents/lib/{install-packages,turnabout}", "compose/*.sh", "test/docker/bases/*.sh"],
    { cwd: ROOT },
  );
  assert.ok(scripts.length >= 9, scripts.join(" "));
  execFileSync("shellcheck", ["-x", ...scripts], { cwd: ROOT, stdio: "pipe", encoding: "utf8" });
});

it("has images whose first process is an init: a watchdog cannot end process 1", () => {
  const files = globSync("agents/*/Dockerfile", { cwd: ROOT });
  assert.ok(files.length >= 4, files.join(" "));
  for (const file of files) {
    const [, entrypoint = ""] = /^ENTRYPOINT (\[.*\])$/m.exec(readFileSync(join(ROOT, file), "utf8")) ?? [];
    const [first = ""] = JSON.parse(entrypoint) as string[];
    if (first === "tini") continue;
    const script = readFileSync(join(ROOT, first.replace("/opt/turnabout/", "")), "utf8");
    assert.match(script, /^ {2}exec tini -s -- "\$0" parts$/m, file);
  }
});

it("has deployments that keep the images' entry points", () => {
  const files = globSync(["compose/**/*.yaml"], { cwd: ROOT });
  assert.ok(files.length >= 6, files.join(" "));
  for (const file of files) {
    const text = readFileSync(join(ROOT, file), "utf8");
    for (const [line] of text.matchAll(/^ *(entrypoint|command): ?\[.*$/gm))
      assert.doesNotMatch(line, /turnabout|node\b|start\.sh/, `${file}: ${line}`);
  }
});

describe("the parts of a container", () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "turnabout-parts-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));
  afterEach(async () => {
    // Whatever a failed test has left.
    for (const { pid } of await processesWith(folder)) process.kill(pid, "SIGKILL");
  });

  /** What has been killed takes its time to go. */
  async function noneLeft(): Promise<void> {
    const deadline = performance.now() + EXIT_TIMEOUT_MS;
    for (let left = await processesWith(folder); left.length > 0; left = await processesWith(folder)) {
      assert.ok(performance.now() < deadline, JSON.stringify(left));
      await pause();
    }
  }

  /** @param script after parts.sh has been read; `$folder` is the test's */
  function start(
    script: string,
    shell: readonly string[] = ["bash"],
  ): { child: ChildProcess; lines: EventLog<string> } {
    const [program = "", ...args] = shell;
    const child = spawn(program, [...args, "-c", `. ${LIB}/parts.sh\n${script}`], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], folder, MAX_PAUSE_S: "1" },
    });
    const lines = new EventLog<string>();
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on("line", lines.push);
    return { child, lines };
  }

  it("are restarted when they end, and leave nothing at the end", async () => {
    const { child, lines } = start(`
      set -eu
      keep mortal bash -c 'echo "mortal runs as $$"; exit 3'
      keep steady bash -c 'echo "steady runs"; sleep 1000'
      until_stopped; stop mortal 2; stop steady 2`);
    await lines.find((line) => line === "steady runs", "the steady one");
    const first = await lines.find((line) => line.startsWith("mortal runs"), "the first life");
    await lines.find(
      (line) => line.endsWith("mortal exited with status 3; restarting in 1 s"),
      "its log line",
    );
    await lines.find((line) => line.startsWith("mortal runs") && line !== first, "the second life");
    child.kill("SIGTERM");
    await next(child, "close", EXIT_TIMEOUT_MS);
    await noneLeft();
    assert.equal(lines.all.filter((line) => line === "steady runs").length, 1);
  });

  it("are stopped one after the other, and killed with all that they have started when they do not listen", async () => {
    const { child, lines } = start(`
      keep first bash -c 'trap "sleep 0.5; echo first ends; exit" TERM; echo first runs; while :; do sleep 0.1; done'
      keep second bash -c 'trap "" TERM; sleep 1000 & echo second runs; while :; do sleep 0.1; done'
      until_stopped; stop first 5; echo stopped first; stop second 1; echo stopped second`);
    await lines.find((line) => line === "first runs", "the first");
    await lines.find((line) => line === "second runs", "the second");
    child.kill("SIGTERM");
    await next(child, "close", EXIT_TIMEOUT_MS);
    const output = lines.all.filter((line) => !line.endsWith("runs"));
    assert.deepEqual(output, [
      "first ends",
      "stopped first",
      "bash: second did not exit within 1 s: killed",
      "stopped second",
    ]);
    await noneLeft();
  });

  it("continue when the log has no reader any more", async () => {
    const { child } = start(`
      keep talker bash -c 'echo x >>$folder/lives; while :; do echo much to say || exit 1; sleep 0.05; done'
      until_stopped; stop talker 2`);
    await next(child.stdout ?? assert.fail(), "data");
    child.stdout?.destroy();
    child.stderr?.destroy();
    const lives = (): number => readFileSync(join(folder, "lives"), "utf8").length / 2;
    await eventually(() => lives() >= 3, "two restarts", EXIT_TIMEOUT_MS);
    assert.equal(child.exitCode ?? child.signalCode, null);
    child.kill("SIGTERM");
    await next(child, "close", EXIT_TIMEOUT_MS);
    await noneLeft();
  });

  it("start with standard output and standard error closed", async () => {
    const { child } = start(
      `
      keep writer bash -c 'echo printed && echo printed >&2 && echo reached >$folder/closed; sleep 1000'
      until_stopped; stop writer 2`,
      ["bash", "-c", 'exec bash "$@" >&- 2>&-', "bash"],
    );
    const deadline = performance.now() + EXIT_TIMEOUT_MS;
    while (globSync(join(folder, "closed")).length === 0)
      assert.ok(performance.now() < deadline, "it did not start");
    child.kill("SIGTERM");
    await next(child, "close", EXIT_TIMEOUT_MS);
    await noneLeft();
  });

  it("have no secret in their environment: it is in a file of its owner's", async () => {
    const script = `. ${LIB}/secrets.sh; take_secret RUNNER_TOKEN $folder/token; exec env`;
    const environment = { PATH: process.env["PATH"], folder, RUNNER_TOKEN: "s3cret-7f" };
    const output = execFileSync("bash", ["-c", script], { env: environment, encoding: "utf8" });
    assert.doesNotMatch(output, /s3cret-7f/);
    assert.match(output, new RegExp(`^RUNNER_TOKEN_FILE=${folder}/token$`, "m"));
    assert.equal(readFileSync(join(folder, "token"), "utf8"), "s3cret-7f");
    assert.equal(statSync(join(folder, "token")).mode & 0o777, 0o600);
  });

  it("are given the file that the operator has named", () => {
    const script = `. ${LIB}/secrets.sh; take_secret RUNNER_TOKEN $folder/none; exec env`;
    const environment = { PATH: process.env["PATH"], folder, RUNNER_TOKEN_FILE: "/run/secrets/mine" };
    const output = execFileSync("bash", ["-c", script], { env: environment, encoding: "utf8" });
    assert.match(output, /^RUNNER_TOKEN_FILE=\/run\/secrets\/mine$/m);
    assert.deepEqual(globSync(join(folder, "none*")), []);
  });
});
