/** The real curl, as a process. */
import { spawn } from "node:child_process";

export interface CurlResult {
  /** curl's exit code: 0 unless the transfer failed. */
  code: number;
  stdout: string;
  stderr: string;
}

const TIMEOUT_S = "20";

/** Without any configuration file or proxy of the machine's own. `input` goes to its standard input, then its end. */
export async function curl(args: readonly string[], input?: string | Buffer): Promise<CurlResult> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/_proxy$/i.test(name)));
  const child = spawn("curl", ["-q", "-sS", "--max-time", TIMEOUT_S, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env,
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  child.stdin.on("error", () => {}); // curl may have ended
  child.stdin.end(input);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.once("error", reject);
  child.once("close", (code) => resolve(code ?? -1));
  const code = await promise;
  return { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
}
