/** `wrk` as the generator, where it is installed: it costs a tenth of what one in JavaScript does. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { RequestResult } from "./requests.ts";

const run = promisify(execFile);

export interface WrkOptions {
  url: string;
  connections: number;
  token?: string;
}

export async function hasWrk(): Promise<boolean> {
  try {
    await run("wrk", ["-v"], { timeout: 5_000 });
    return true;
  } catch (error) {
    // It exits with 1 after printing its version.
    return (error as NodeJS.ErrnoException).code !== "ENOENT";
  }
}

/** @throws Error if it fails or any response is not a success */
export async function runWrk(
  { url, connections, token }: WrkOptions,
  durationMs: number,
): Promise<RequestResult> {
  const seconds = Math.max(1, Math.round(durationMs / 1_000));
  const authorization = token === undefined ? [] : ["-H", `Authorization: Bearer ${token}`];
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", ...authorization, url];
  const { stdout } = await run("wrk", args, { timeout: durationMs + 15_000 });
  const bad = /Non-2xx or 3xx responses: \d+|Socket errors: .*/.exec(stdout)?.[0];
  if (bad !== undefined) throw new Error(`wrk ${url}: ${bad}`);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  if (!(requests > 0)) throw new Error(`wrk ${url}: no response at all`);
  return {
    requests,
    perS: Number(/Requests\/sec: +([\d.]+)/.exec(stdout)?.[1]),
    p50Ms: milliseconds(/50% +([\d.]+)(us|ms|s)/.exec(stdout)),
    p99Ms: milliseconds(/99% +([\d.]+)(us|ms|s)/.exec(stdout)),
  };
}

function milliseconds(match: RegExpExecArray | null): number {
  const perUnit = { us: 0.001, ms: 1, s: 1_000 } as const;
  return Number(match?.[1]) * perUnit[(match?.[2] ?? "ms") as keyof typeof perUnit];
}
