/**
 * A real, headless Sway in a folder of its own, with one terminal.
 *
 * Sway refuses to run as root, so root becomes an unprivileged user that owns nothing but that folder. Sway ends with this
 * process: by `close`, by the `exit` event, or by the kernel (parent-death signal) if the process is killed.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rmSync, watch } from "node:fs";
import { chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Display } from "./display.ts";
import { captureWithGrim, waylandSockets } from "./grim.ts";
import type { RuntimeFolder } from "./grim.ts";
import {
  DISPLAY_START_TIMEOUT_MS,
  DISPLAY_STOP_TIMEOUT_MS,
  FIRST_CAPTURE_RETRY_MS,
  MAX_LOG_TAIL_CHARS,
} from "./limits.ts";
import { isInstalled } from "./programs.ts";
import { coalesce } from "./screenshot-server.ts";

/** An id without an account: it owns no file and no process besides the display. */
const DISPLAY_ID = 12_345;

/** @throws Error if Sway does not start, without leaving anything behind */
export async function startSway(log: (line: string) => void): Promise<Display> {
  const isRoot = process.getuid?.() === 0;
  const folder = await makeFolder(isRoot);
  const runtime: RuntimeFolder = {
    path: join(folder, "xdg"),
    user: isRoot ? { uid: DISPLAY_ID, gid: DISPLAY_ID } : {},
  };
  const child = spawnSway(folder, runtime.path, isRoot);
  let tail = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    tail = (tail + chunk.toString("utf8")).slice(-MAX_LOG_TAIL_CHARS);
  });
  let hasEnded = false;
  let closing = false;
  const ended = new Promise<void>((resolve) => {
    const end = (how: string): void => {
      hasEnded = true;
      if (!closing) log(`sway ended: ${how}`);
      resolve();
    };
    child.once("error", (error) => end(error.message));
    child.once("exit", (code, signal) => end(String(signal ?? code)));
  });
  const killNow = (): void => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", killNow);

  const close = async (): Promise<void> => {
    closing = true;
    await stop(child, () => hasEnded, ended);
    process.off("exit", killNow);
    // Clients that are ending may still write to their home.
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };

  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(new Error("no screenshot in time")), DISPLAY_START_TIMEOUT_MS);
  void ended.then(() => giveUp.abort(new Error("it ended")));
  try {
    await socketAppears(runtime.path, giveUp.signal);
    await firstCapture(runtime, giveUp.signal);
  } catch (error) {
    await close();
    throw new Error(`sway did not start: ${tail.trim()}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
  log(`sway runs headless as process ${child.pid} in ${folder}`);
  return { kind: "sway", capture: coalesce(() => captureWithGrim(runtime)), close };
}

async function makeFolder(isRoot: boolean): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `turnabout-display-${process.pid}-`));
  const runtime = join(folder, "xdg");
  const config = join(folder, "config");
  await mkdir(runtime, { mode: 0o700 });
  await writeFile(config, await swayConfig());
  if (isRoot) for (const path of [folder, runtime, config]) await chown(path, DISPLAY_ID, DISPLAY_ID);
  return folder;
}

/** The gaps leave the background visible: a test recognizes the screenshot by its colour. */
async function swayConfig(): Promise<string> {
  const lines = [
    "xwayland disable",
    "output * resolution 1280x720 position 0,0 bg #204060 solid_color",
    "default_border none",
    "gaps outer 60",
  ];
  if (await isInstalled("foot")) {
    lines.push(`exec foot -e sh -c 'while :; do echo "turnabout demo, $(date)"; sleep 1; done'`);
  }
  return `${lines.join("\n")}\n`;
}

function spawnSway(folder: string, runtime: string, isRoot: boolean): ChildProcess {
  const user = isRoot ? [`--reuid=${DISPLAY_ID}`, `--regid=${DISPLAY_ID}`, "--clear-groups"] : [];
  // Without new privileges, because file capabilities of the sway program would clear the parent-death signal.
  const guard = ["--no-new-privs", "--pdeathsig", "TERM"];
  return spawn("setpriv", [...user, ...guard, "sway", "-c", join(folder, "config")], {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
    // None of our variables: they might name another display or hold a secret.
    env: {
      PATH: process.env["PATH"],
      HOME: folder,
      SHELL: "/bin/sh",
      LANG: "C.UTF-8",
      XDG_RUNTIME_DIR: runtime,
      WLR_BACKENDS: "headless",
      WLR_LIBINPUT_NO_DEVICES: "1",
      WLR_RENDERER: "pixman",
    },
  });
}

function socketAppears(folder: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const watcher = watch(folder);
    const settle = (): void => {
      watcher.close();
      signal.removeEventListener("abort", onAbort);
    };
    const fail = (error: unknown): void => {
      settle();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    const onAbort = (): void => fail(signal.reason);
    const check = (): void => {
      waylandSockets(folder).then((sockets) => {
        if (sockets.length === 0) return;
        settle();
        resolve();
      }, fail);
    };
    watcher.on("change", check);
    watcher.on("error", fail);
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    // It may have appeared before the watch.
    check();
  });
}

/** The socket listens a moment before the output can be captured. */
async function firstCapture(runtime: RuntimeFolder, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await captureWithGrim(runtime);
      return;
    } catch {
      await delay(FIRST_CAPTURE_RETRY_MS, undefined, { signal });
    }
  }
}

async function stop(child: ChildProcess, hasEnded: () => boolean, ended: Promise<void>): Promise<void> {
  if (hasEnded()) return;
  // Sway's children share its standard error, so 'close' comes when the last of them has ended, too.
  const allEnded = once(child, "close");
  child.kill("SIGTERM");
  const timer = new AbortController();
  const late = delay(DISPLAY_STOP_TIMEOUT_MS, true, { signal: timer.signal }).catch(() => false);
  if (await Promise.race([allEnded.then(() => false), late])) child.kill("SIGKILL");
  timer.abort();
  await ended;
  child.stderr?.destroy();
}
