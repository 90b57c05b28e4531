/** A test's own script as another process: for what may end a process, or must not. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { nodeFlags } from "./commands.ts";

export interface ChildResult {
  /** Exit code; null if a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

const TIMEOUT_MS = 100_000;

/**
 * Runs a TypeScript file with this node and waits for its end. No handler for uncaught errors is installed: an
 * 'error' event that nobody listens to ends the child, as it would end an agent.
 *
 * @param script URL of the script, usually `new URL("./x.child.ts", import.meta.url)`
 */
export async function runChild(script: URL, args: readonly string[] = []): Promise<ChildResult> {
  const child = spawn(process.execPath, [...nodeFlags(), fileURLToPath(script), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString("utf8")));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString("utf8")));
  const { promise, resolve, reject } = Promise.withResolvers<ChildResult>();
  child.once("error", reject);
  child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  return promise;
}
