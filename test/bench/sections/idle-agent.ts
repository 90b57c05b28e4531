/** What an idle agent costs in memory, beside a Node that holds one HTTP/2 session and does nothing else. */
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ADMIN_TOKEN } from "../names.ts";
import { Worker } from "../worker.ts";
import type { ControlPlaneCalls } from "../workers/control-plane.ts";
import type { SectionContext } from "./section.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** An agent gives back what its start has left behind after three seconds. */
const SETTLED_MS = 8_000;
const RUNS = 3;

/** The control plane is an HTTP/2 server too. */
const BARE = `
  import http2 from "node:http2";
  const session = http2.connect("http://127.0.0.1:" + process.argv[1]);
  session.request({ ":path": "/healthz" }).resume();`;

export async function measureIdleAgent(context: SectionContext): Promise<void> {
  await using controlPlane = await Worker.start<ControlPlaneCalls>("control-plane");
  const port = await controlPlane.call("listen", 0);
  const folder = await mkdtemp(path.join(tmpdir(), "turnabout-bench-"));
  try {
    const build = [path.join(ROOT, "agents/packaging/main.ts"), "bundles", folder];
    await promisify(execFile)(process.execPath, build, { cwd: ROOT });
    const options = (runner: string): string[] =>
      ["--server", `http://127.0.0.1:${port}`, "--runner", runner].concat(["--target", "t=127.0.0.1:9"]);
    const bundle = path.join(folder, "turnabout-agent.js");
    const bare: number[] = [];
    const agent: number[] = [];
    const unwatched: number[] = [];
    for (let run = 0; run < RUNS; run += 1) {
      bare.push(await residentKiB(["--input-type=module", "-e", BARE, String(port)]));
      agent.push(await residentKiB([bundle, ...options(`idle-${run}`)]));
      unwatched.push(await residentKiB([bundle, ...options(`bare-${run}`), "--watchdog", "0"]));
    }
    context.add({
      metric: "RSS of an idle agent, one file",
      unit: "MiB",
      value: median(agent) / 1_024,
      baseline: median(bare) / 1_024,
      ratio: median(agent) / median(bare),
      budget: { of: "ratio", bound: "at most", limit: 1.3 },
      note: `the watchdog's thread is ${((median(agent) - median(unwatched)) / 1_024).toFixed(1)} of it`,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function residentKiB(args: readonly string[]): Promise<number> {
  const env = { ...process.env, TURNABOUT_TOKEN: ADMIN_TOKEN };
  const child = spawn(process.execPath, args, { env, stdio: "ignore" });
  try {
    await pause(SETTLED_MS);
    const status = await readFile(`/proc/${child.pid}/status`, "utf8");
    return Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1]);
  } finally {
    child.kill("SIGKILL");
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
