/**
 * An isolated scenario: a process in network, mount and process namespaces of its own. It may change anything there, all
 * that it starts ends with it, and it ends with the test.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { missing } from "../support/parts.ts";

const NAMESPACES = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
const ALONE = ["--pdeathsig", "KILL", "unshare", ...NAMESPACES];

const SCENARIO_TIMEOUT_MS = 180_000;

/** Why it is not possible here, or `false`. @param programs that the scenario needs besides */
export function aloneCannot(...programs: string[]): string | false {
  const absent = missing("setpriv", "unshare", "ip", ...programs);
  if (absent !== false) return absent;
  if (process.getuid?.() !== 0) return "networks of its own need root";
  const tried = spawnSync("setpriv", [...ALONE, "ip", "link", "set", "lo", "up"]);
  return tried.status === 0 ? false : `no namespaces here: ${tried.stderr.toString("utf8").trim()}`;
}

/** @param script in this folder; its standard output is passed on */
export async function runAlone(t: { diagnostic(message: string): void }, script: string): Promise<void> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn("setpriv", [...ALONE, process.execPath, path], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    timeout: SCENARIO_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => t.diagnostic(line));
  createInterface({ input: child.stderr }).on("line", (line) => lines.push(line));
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  assert.equal(signal ?? code, 0, lines.join("\n"));
}
