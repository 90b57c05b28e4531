/**
 * A sandbox's screenshots: how much longer one takes through control plane and agent than grim alone, and what a
 * crowd of viewers costs the desktop. Everything is real: Sway, grim, the sandbox's server as the desktop's user.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Pool } from "undici";
import { skipWithoutDesktop, startDesktop, until } from "../../sandbox/desktop.ts";
import type { Desktop } from "../../sandbox/desktop.ts";
import { ADMIN_TOKEN, RUNNER } from "../names.ts";
import { comparePairs, median, percentile } from "../statistics.ts";
import { Worker } from "../worker.ts";
import type { AgentCalls } from "../workers/agent.ts";
import type { ControlPlaneCalls } from "../workers/control-plane.ts";
import type { SectionContext } from "./section.ts";

const SERVER = fileURLToPath(new URL("../../../agents/sandbox/server/main.ts", import.meta.url));
/** A lone viewer: below the rate at which the server shares frames. */
const LONE_PAUSE_MS = 300;
const PAIRS_PER_PAIR = 6;
const VIEWERS = 50;
const VIEWER_PERIOD_MS = 500;

export async function measureScreenshots(context: SectionContext): Promise<void> {
  if (skipWithoutDesktop !== false) {
    return context.note(`screenshot: not measured, ${skipWithoutDesktop}`);
  }
  await using stack = new AsyncDisposableStack();
  const desktop = stack.use(await startDesktop());
  await desktop.swaymsg("output HEADLESS-1 resolution 1920x1080");
  await desktop.swaymsg("gaps outer all set 0");
  const plain = stack.use(await startServer(desktop, desktop.env["PATH"] ?? ""));
  const counted = stack.use(await startServer(desktop, await countingPath(desktop)));
  const controlPlane = stack.use(await Worker.start<ControlPlaneCalls>("control-plane"));
  const agent = stack.use(await Worker.start<AgentCalls>("agent"));
  const port = await controlPlane.call("listen", 0);
  await agent.call("connect", port, { plain: plain.port, counted: counted.port });
  const pool = (of: number): Pool => stack.adopt(new Pool(`http://127.0.0.1:${of}`), (it) => it.close());
  const callers = pool(port);
  const routes: Routes = {
    plain: { callers, path: `/api/v1/runners/${RUNNER}/targets/plain` },
    direct: { callers: pool(plain.port), path: "" },
    counted: { callers, path: `/api/v1/runners/${RUNNER}/targets/counted` },
  };

  await showText(desktop, "base64 -w 230 /dev/urandom | head -c 12000; exec sleep infinity");
  await measureOne(context, desktop, routes);
  await measurePolling(context, routes);
  await desktop.swaymsg("[app_id=foot] kill");
  await showText(desktop, "while :; do head -c 60 /dev/urandom | base64; sleep 0.1; done");
  await measureCrowd(context, desktop, routes);
}

async function measureOne(context: SectionContext, desktop: Desktop, routes: Routes): Promise<void> {
  const tunnel: number[] = [];
  const server: number[] = [];
  const alone: number[] = [];
  let bytes = 0;
  const sides: readonly (() => Promise<unknown>)[] = [
    async () => {
      const picture = await get(routes.plain, "format=png");
      bytes = picture.bytes;
      tunnel.push(picture.ms);
    },
    async () => server.push((await get(routes.direct, "format=png")).ms),
    async () => alone.push(await timeGrim(desktop)),
  ];
  for (const side of sides) await side(); // warm-up
  for (const times of [tunnel, server, alone]) times.length = 0;
  const rounds = context.pairs * PAIRS_PER_PAIR;
  for (let round = 0; round < rounds; round += 1) {
    const pause = delay(2 * LONE_PAUSE_MS);
    // Whoever comes first after a pause is slower: each in turn.
    const first = round % sides.length;
    for (const side of [...sides.slice(first), ...sides.slice(0, first)]) await side();
    await pause;
  }
  const overGrim = comparePairs(tunnel, alone);
  const overServer = comparePairs(tunnel, server);
  context.add({
    metric: "PNG of 1920x1080, median",
    unit: "ms",
    value: overGrim.value,
    baseline: overGrim.baseline,
    ratio: overGrim.ratio,
    note: `baseline: grim itself. ${rounds} pairs, ${Math.round(bytes / 1_024)} KiB each`,
  });
  context.add({
    metric: "the same over grim itself, median of pairs",
    unit: "ms",
    value: overGrim.difference,
    budget: { of: "value", bound: "at most", limit: 15 },
    note: `of it the two hops ${overServer.difference.toFixed(1)} ms; the sandbox's server without them takes ${overServer.baseline.toFixed(0)} ms`,
  });
}

/** The screen does not change: whoever has it already gets no byte of it again. */
async function measurePolling(context: SectionContext, { plain }: Routes): Promise<void> {
  const first = await get(plain, "format=png");
  const times: number[] = [];
  let bytes = 0;
  let unchanged = 0;
  const polls = context.pairs * PAIRS_PER_PAIR;
  for (let poll = 0; poll < polls; poll += 1) {
    const pause = delay(LONE_PAUSE_MS);
    const response = await get(plain, "format=png", first.etag);
    times.push(response.ms);
    bytes += response.bytes;
    unchanged += Number(response.status === 304);
    await pause;
  }
  context.add({
    metric: "body of a poll with If-None-Match, screen unchanged",
    unit: "KiB",
    value: bytes / polls / 1_024,
    budget: { of: "value", bound: "at most", limit: 0 },
    note: `${unchanged} of ${polls} were 304; the picture has ${Math.round(first.bytes / 1_024)} KiB; median ${median(times).toFixed(0)} ms`,
  });
}

/** The screen changes all the time: each viewer gets pictures. */
async function measureCrowd(context: SectionContext, desktop: Desktop, { counted }: Routes): Promise<void> {
  const times: number[] = [];
  let pictures = 0;
  const endsAt = performance.now() + 5 * context.runMs;
  const view = async (index: number): Promise<void> => {
    let etag: string | undefined;
    await delay((index / VIEWERS) * VIEWER_PERIOD_MS); // not all at the same moment
    while (performance.now() < endsAt) {
      const pause = delay(VIEWER_PERIOD_MS);
      const response = await get(counted, "", etag);
      times.push(response.ms);
      pictures += Number(response.status === 200);
      etag = response.etag;
      await pause;
    }
  };
  await Promise.all(Array.from({ length: VIEWERS }, (_, index) => view(index)));
  const at = (await readFile(countFile(desktop), "utf8")).trim().split("\n").map(Number);
  const seconds = (at.at(-1) ?? Number.NaN) - (at[0] ?? Number.NaN);
  context.add({
    metric: `grims a second for ${VIEWERS} viewers at 2 Hz`,
    unit: "",
    value: (at.length - 1) / seconds,
    budget: { of: "value", bound: "at most", limit: 2 },
    note: `${at.length} in ${seconds.toFixed(1)} s; ${times.length} requests, ${pictures} pictures, p99 ${percentile(times, 0.99).toFixed(0)} ms`,
  });
}

interface Picture {
  status: number;
  etag: string | undefined;
  bytes: number;
  ms: number;
}

interface Route {
  callers: Pool;
  path: string;
}

interface Routes {
  plain: Route;
  /** The same server without the tunnel. */
  direct: Route;
  /** A server whose grims are counted. */
  counted: Route;
}

async function get({ callers, path }: Route, query: string, etag?: string): Promise<Picture> {
  const startedAt = performance.now();
  const { statusCode, headers, body } = await callers.request({
    method: "GET",
    path: `${path}/screenshot?${query}`,
    headers: {
      authorization: `Bearer ${ADMIN_TOKEN}`,
      ...(etag !== undefined && { "if-none-match": etag }),
    },
  });
  const bytes = (await body.arrayBuffer()).byteLength;
  if (statusCode !== 200 && statusCode !== 304) throw new Error(`screenshot: ${statusCode}`);
  const ms = performance.now() - startedAt;
  return { status: statusCode, etag: headers["etag"]?.toString(), bytes, ms };
}

async function timeGrim({ env, uid }: Desktop): Promise<number> {
  const startedAt = performance.now();
  const child = spawn("grim", ["-t", "png", "-"], {
    env,
    ...(process.getuid?.() === 0 && { uid, gid: uid }),
    stdio: ["ignore", "pipe", "ignore"],
  });
  child.stdout.resume();
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`grim: ${code}`);
  return performance.now() - startedAt;
}

/** A terminal that fills the screen; there when its window is. */
async function showText(desktop: Desktop, script: string): Promise<void> {
  await writeFile(join(desktop.folder, "show.sh"), script);
  await desktop.swaymsg(`exec foot -e sh ${join(desktop.folder, "show.sh")}`);
  await until("the terminal is there", () =>
    desktop.swaymsg("[app_id=foot] focus").then(
      () => true,
      () => false,
    ),
  );
}

/** Every run of grim leaves the time of its start, in seconds. */
async function countingPath(desktop: Desktop): Promise<string> {
  const path = desktop.env["PATH"] ?? "";
  const grim = join(desktop.folder, "grim");
  const script = `#!/bin/sh\nread -r now _ < /proc/uptime\necho "$now" >> ${countFile(desktop)}\nPATH='${path}' exec grim "$@"\n`;
  await writeFile(grim, script);
  await chmod(grim, 0o755);
  return `${desktop.folder}:${path}`;
}

function countFile({ folder }: Desktop): string {
  return join(folder, "grims");
}

interface RunningServer extends AsyncDisposable {
  port: number;
}

async function startServer(desktop: Desktop, path: string): Promise<RunningServer> {
  const user =
    process.getuid?.() === 0 ? [`--reuid=${desktop.uid}`, `--regid=${desktop.uid}`, "--clear-groups"] : [];
  const guard = ["--no-new-privs", "--pdeathsig", "KILL"];
  const child = spawn("setpriv", [...user, ...guard, process.execPath, SERVER], {
    env: { ...desktop.env, PATH: path, SCREENSHOT_PORT: "0", SCREENSHOT_HOST: "127.0.0.1" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  return {
    port: await portOf(child),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

async function portOf({ stderr }: ChildProcess): Promise<number> {
  if (stderr !== null) {
    for await (const line of createInterface({ input: stderr })) {
      const port = /"port":(\d+)/.exec(line)?.[1];
      if (port === undefined) continue;
      stderr.resume();
      return Number(port);
    }
  }
  throw new Error("the sandbox's server did not start");
}
