/**
 * Runs in every test process before its test file (`--import`), and tells the runner over file descriptor 3 what runs
 * and what is open. Self-contained: it is stripped alone.
 */
import { readFileSync, writeSync } from "node:fs";
import { Server, Socket } from "node:net";
import { after, beforeEach } from "node:test";
import { isMainThread } from "node:worker_threads";
import type { ChildProcess } from "node:child_process";
import type { Message } from "./messages.ts";

const CHANNEL = 3;
const { TEST_FILE, TEST_RUNNER_PID, TEST_LINGER_MS } = process.env;

// Workers and forks inherit the flag that loads this file, not the channel.
if (isMainThread && process.argv[1] === TEST_FILE && String(process.ppid) === TEST_RUNNER_PID) follow();

function follow(): void {
  // By beforeEach and writeSync rather than by a reporter: known also where the event loop is blocked right after.
  beforeEach((context) => {
    if ("fullName" in context) report({ type: "running", name: context.fullName });
  });
  after(() => {
    report({ type: "done" });
    setTimeout(() => report({ type: "open", resources: openResources() }), Number(TEST_LINGER_MS)).unref();
  });
  process.once("exit", () => report({ type: "usage", cpuMs: cpuMs() }));
}

function report(message: Message): void {
  try {
    writeSync(CHANNEL, `${JSON.stringify(message)}\n`);
  } catch {
    process.kill(process.pid, "SIGKILL"); // the runner has gone
  }
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

function openResources(): string[] {
  const described = (process as unknown as { _getActiveHandles(): object[] })
    ._getActiveHandles()
    .map(describe);
  const other = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout" || kind === "Immediate");
  return [...described, ...other].filter((text) => text !== "");
}

function describe(handle: object): string {
  const kind = handle.constructor.name;
  if (handle instanceof Server) return `${kind} listening on ${JSON.stringify(handle.address())}`;
  if (handle instanceof Socket) {
    if ("fd" in handle && Number(handle.fd) <= CHANNEL) return ""; // standard streams
    const { localAddress, localPort, remoteAddress, remotePort } = handle;
    return localAddress === undefined
      ? `${kind} (pipe or Unix socket)`
      : `${kind} ${localAddress}:${localPort} to ${remoteAddress}:${remotePort}`;
  }
  if ("spawnargs" in handle) {
    const { pid, spawnargs } = handle as ChildProcess;
    return `${kind} ${pid}: ${spawnargs.join(" ")}`;
  }
  return kind;
}
