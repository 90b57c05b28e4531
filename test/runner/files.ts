/**
 * The main module of a test process: runs its test files (`process.argv`) one after the other, each as a suite of its
 * own, and tells the runner over file descriptor 3 what runs and what is open.
 */
import { readFileSync, readSync } from "node:fs";
import { beforeEach, mock, suite } from "node:test";
import { pathToFileURL } from "node:url";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { GO_ON } from "./messages.ts";
import { openResources } from "./open-resources.ts";
import { reported, report } from "./reporter.ts";

const LINGER_MS = Number(process.env["TEST_LINGER_MS"]);
const files = process.argv.slice(2);
const environment = { ...process.env };
const folder = process.cwd();

// By beforeEach and writeSync rather than by a reporter: known also where the event loop is blocked right after.
beforeEach((context) => {
  if ("fullName" in context) report({ type: "running", name: withoutFile(context.fullName) });
});
process.once("exit", () => report({ type: "usage", cpuMs: cpuMs() }));

for (const [index, file] of files.entries()) {
  await suite(file, { timeout: Infinity }, async () => void (await import(pathToFileURL(file).href)));
  if (index < files.length - 1) await endFile(file);
  else report({ type: "done" });
}
setTimeout(() => report({ type: "open", resources: openResources() }), LINGER_MS).unref();

/** What a file has changed is as it was, and what it has opened is closed, before the next begins. */
async function endFile(file: string): Promise<void> {
  mock.reset();
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  Object.assign(process.env, environment);
  process.chdir(folder);
  await reported(file);
  const { exitCode } = process;
  process.exitCode = undefined;
  report({ type: "done" });
  try {
    await assertNothingOpen(LINGER_MS);
  } catch {
    report({ type: "open", resources: openResources() });
    setInterval(() => {}, LINGER_MS); // until the runner ends the process
    await new Promise<never>(() => {});
  }
  report({ type: "usage", cpuMs: cpuMs() });
  report({ type: "ended", exitCode: Number(exitCode ?? 0) });
  readSync(GO_ON, Buffer.alloc(1));
}

function withoutFile(fullName: string): string {
  return fullName.slice(fullName.indexOf(" > ") + 3);
}

/** Of this process and of its children that have ended. */
function cpuMs(): number {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return Math.round((userCPUTime + systemCPUTime) / 1_000) + childrenCpuMs();
}

function childrenCpuMs(): number {
  try {
    // After the name, which may hold anything: state, ppid, ... cutime and cstime are fields 16 and 17 (proc(5)).
    const fields = readFileSync("/proc/self/stat", "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return (Number(fields[13]) + Number(fields[14])) * 10;
  } catch {
    return 0; // not Linux
  }
}
