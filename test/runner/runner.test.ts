import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { runChild } from "../support/child.ts";
import { Command } from "../support/commands.ts";
import { eventually } from "../support/events.ts";
import { processesOf } from "./processes.ts";
import { stripSources } from "./stripped.ts";
import { runTestFiles } from "./test-process.ts";
import type { FileResult, TestProcessOptions } from "./test-process.ts";

const hooks = stripSources();

async function outcome(name: string, options: Partial<TestProcessOptions> = {}): Promise<FileResult> {
  const [result] = await outcomes([name], options);
  assert.ok(result);
  return result;
}

/** Of those that have been run. */
async function outcomes(
  names: readonly string[],
  options: Partial<TestProcessOptions> = {},
): Promise<FileResult[]> {
  const files = names.map((name) => fileURLToPath(new URL(`./fixtures/${name}.child.ts`, import.meta.url)));
  const limits = { testTimeoutMs: 60_000, fileTimeoutMs: 60_000, lingerMs: 20_000 };
  const results: FileResult[] = [];
  const count = await runTestFiles(files, { hooks, ...limits, ...options }, (result) => results.push(result));
  assert.equal(count, results.length);
  return results;
}

describe("a test file", { concurrency: true }, () => {
  it("passes when its tests pass and its process ends", async () => {
    const { passed, failed, skipped, faults, cpuMs } = await outcome("passes");
    assert.deepEqual({ passed, failed, faults }, { passed: 1, failed: [], faults: [] });
    assert.equal(skipped[0]?.name, "a suite > is skipped");
    assert.equal(skipped[0]?.reason, "not installed: something");
    assert.ok((cpuMs ?? 0) > 0);
  });

  it("that leaks after a failed assertion is ended, and what was open is reported", async () => {
    const { failed, faults, wallMs } = await outcome("leaks", { lingerMs: 500 });
    assert.match(failed[0]?.error ?? "", /before the teardown/);
    assert.equal(faults.length, 1);
    const [fault = ""] = faults;
    assert.match(fault, /lives on 0.5 s after its last test/);
    assert.match(fault, /open: Server listening on {"address":"127.0.0.1","family":"IPv4","port":\d+}/);
    assert.match(fault, /open: Socket 127.0.0.1:\d+ to 127.0.0.1:\d+/);
    assert.match(fault, /open: Timeout/);
    assert.match(fault, /kept alive by .*tcp/);
    assert.ok(wallMs < 60_000);
  });

  it("whose fixtures are made and not closed ends by itself, and prints only its test's output", async () => {
    const { passed, failed, faults } = await outcome("forgets-its-fixtures");
    assert.match(failed[0]?.error ?? "", /half way/);
    assert.deepEqual([passed, failed.length, faults], [1, 1, []]);
  });

  it("that blocks its event loop is ended, and the code that blocks it is named", async () => {
    const { faults } = await outcome("spins", { fileTimeoutMs: 2_000 });
    assert.equal(faults.length, 1);
    assert.match(faults[0] ?? "", /has not ended after 2 s, in "spins"/);
    assert.match(faults[0] ?? "", /at spinWithoutEnd \(.*spins\.child\.ts:9\)/);
  });

  it("that waits for what never comes is ended, also when its test has no time limit", async () => {
    const { faults } = await outcome("waits", { fileTimeoutMs: 2_000, testTimeoutMs: 600_000 });
    assert.match(faults[0] ?? "", /has not ended after 2 s, in "waits endlessly"\n.*kept alive by timer/);
  });

  it("that stands still outside JavaScript is ended", async () => {
    const { faults } = await outcome("stops", { fileTimeoutMs: 2_000 });
    assert.match(faults[0] ?? "", /has not ended after 2 s, in "stops itself"/);
    assert.match(faults[0] ?? "", /blocked, outside JavaScript, or the process is stopped/);
    assert.match(faults[0] ?? "", /state T/);
  });

  it("that leaves a process behind fails, and the process is ended", async () => {
    const { passed, faults } = await outcome("leaves-a-child");
    assert.equal(passed, 1);
    assert.match(faults.join(), /has left a process behind: \d+ .* sleep 600/);
    const pid = Number(/behind: (\d+)/.exec(faults.join())?.[1]);
    await eventually(() => processesOf(pid, "none").length === 0, "the end of what SIGKILL was sent to");
  });

  it("that ends in the middle of its tests fails, whatever its exit code", async () => {
    const { faults } = await outcome("exits-early");
    assert.deepEqual(faults, ['has ended before its tests were done, in "exits"']);
  });
});

describe("files that share a process", { concurrency: true }, () => {
  const NONE = { failed: [], faults: [] };
  const summary = (results: readonly FileResult[]) =>
    results.map(({ passed, failed, faults }) => ({ passed, failed, faults }));

  it("have each its own results, hooks and CPU time, and their output", async () => {
    const results = await outcomes(["passes", "changes-its-process", "finds-it-unchanged"]);
    assert.deepEqual(summary(results), [
      { passed: 1, ...NONE },
      { passed: 1, ...NONE },
      { passed: 2, ...NONE },
    ]);
    for (const { cpuMs } of results) assert.ok((cpuMs ?? 0) > 0);
    assert.equal(results[0]?.skipped[0]?.name, "a suite > is skipped");
  });

  it("leave the others to another process when one leaks, and what was open is reported", async () => {
    const results = await outcomes(["passes", "leaks", "passes"], { lingerMs: 500 });
    assert.equal(results.length, 2);
    assert.deepEqual(summary(results)[0], { passed: 1, ...NONE });
    assert.match(results[1]?.failed[0]?.error ?? "", /before the teardown/);
    const [fault = ""] = results[1]?.faults ?? [];
    assert.match(fault, /lives on 0.5 s after its last test/);
    assert.match(fault, /open: Server listening on {"address":"127.0.0.1","family":"IPv4","port":\d+}/);
    assert.match(fault, /kept alive by .*tcp/);
  });

  it("leave the others to another process when one hangs or ends it", async () => {
    const hang = await outcomes(["passes", "waits", "passes"], { fileTimeoutMs: 2_000 });
    assert.match(hang[1]?.faults[0] ?? "", /has not ended after 2 s, in "waits endlessly"/);
    const exit = await outcomes(["passes", "exits-early", "passes"]);
    assert.deepEqual(exit[1]?.faults, ['has ended before its tests were done, in "exits"']);
    for (const results of [hang, exit]) {
      assert.equal(results.length, 2);
      assert.deepEqual(summary(results)[0], { passed: 1, ...NONE });
    }
  });

  it("have each the processes and the exit status that it leaves behind", async () => {
    const results = await outcomes(["leaves-a-child", "sets-its-status", "passes"]);
    assert.match(results[0]?.faults.join() ?? "", /has left a process behind: \d+ .* sleep 600/);
    assert.deepEqual(results[1]?.faults, ["exit code 3"]);
    assert.deepEqual(summary(results)[2], { passed: 1, ...NONE });
  });
});

describe("a run", { concurrency: true }, () => {
  const RUN = new URL("./fixtures/run.child.ts", import.meta.url);

  it("continues after a file that leaks, fails, and reports what was skipped and what took long", async () => {
    const { code, stdout } = await runChild(RUN, ["60000", "leaks", "passes"]);
    assert.equal(code, 1);
    assert.match(stdout, /✖ .*leaks\.child\.ts: 0 passed, 1 failed/);
    assert.match(stdout, /✔ .*passes\.child\.ts: 1 passed, 1 skipped/);
    assert.match(stdout, /slowest files:\n.*leaks\.child\.ts/);
    assert.match(stdout, /skipped: .*passes\.child\.ts \(not installed: something\): a suite > is skipped/);
    assert.match(stdout, /tests: 1 passed, 1 failed, 1 skipped\n✖ .*leaks\.child\.ts: forgets its server/);
  });

  it("runs what a process has left to others", async () => {
    const { code, stdout } = await runChild(RUN, ["60000", "leaks,exits-early,passes"]);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /✖ .*leaks[^]*✖ .*exits-early\.child\.ts: \d passed[^]*✔ .*passes\.child\.ts: 1 passed/,
    );
    assert.match(stdout, /tests: \d passed, 1 failed, 1 skipped\n/);
  });

  it("succeeds when every file does", async () => {
    assert.equal((await runChild(RUN, ["60000", "passes"])).code, 0);
  });

  it("ends at its own limit, and what has not begun has failed", async () => {
    const { code, stdout } = await runChild(RUN, ["5000", "waits", "passes"]);
    assert.equal(code, 1);
    assert.match(stdout, /waits\.child\.ts has not ended after \d s/);
    assert.match(stdout, /passes\.child\.ts was not begun: the whole run's 5\.0 s are over/);
  });

  it("takes its files with it when it is ended", async () => {
    await using run = new Command(RUN, ["60000", "waits"]);
    const mark = fileURLToPath(new URL("./fixtures/waits.child.ts", import.meta.url));
    const files = (): number[] => childrenOf(run.pid).filter((pid) => commandOf(pid).includes(mark));
    await eventually(() => files().length === 1, "its file");
    const [pid = -1] = files();
    await run.end("SIGTERM");
    await eventually(() => commandOf(pid) === "", "the end of its file");
  });
});

function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  return existsSync(path) ? readFileSync(path, "utf8").split(" ").filter(Boolean).map(Number) : [];
}

/** Empty once the process has ended, also before its parent has waited for it. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
