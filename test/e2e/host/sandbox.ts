/**
 * One sandbox, as Wolf's docker would run it from a lobby's runner: an ordinary user's Sway with two windows, the
 * screenshot server, and the agent with the environment that the lobby carries. The agent comes first, as in Helix's
 * start script; the test starts the rest.
 */
import type { ChildProcess } from "node:child_process";
import { chown, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { processesWith } from "../processes.ts";
import type { ProcessView } from "../processes.ts";
import { runIn, start, stop } from "./programs.ts";
import type { Container, Ran, RunOptions } from "./programs.ts";
import type { Picture } from "./vp8.ts";

/** An id without an account. */
const USER_ID = 12_346;
const SERVER = fileURLToPath(new URL("../../../agents/sandbox/server/main.ts", import.meta.url));
const AGENT = fileURLToPath(new URL("../../../src/cli/revdial-client.ts", import.meta.url));

const LEAVE_TIMEOUT_MS = 5_000;

/** Drawn by a client of the desktop, in its left half. */
export const COLOUR = { red: 0x1e, green: 0x8e, blue: 0x3e };

/** What has been started, in this order. */
export type Stage = "agent" | "server" | "desktop";

export interface SandboxOptions {
  session: string;
  /** `NAME=value`, from the lobby's runner. */
  environment: readonly string[];
  width: number;
  height: number;
  /** Its network namespace; undefined: the host's. */
  network: string | undefined;
  log: (line: string) => void;
}

export interface SandboxView {
  session: string;
  stage: Stage;
  folder: string;
  port: number;
  pids: Record<string, number>;
}

export class Sandbox {
  readonly session: string;
  readonly #options: SandboxOptions;
  readonly #folder: string;
  readonly #container: Container;
  readonly #port: number;
  readonly #children = new Map<string, ChildProcess>();
  #stage: Stage = "agent";
  #closed: Promise<string[]> | undefined;

  private constructor(options: SandboxOptions, folder: string, container: Container, port: number) {
    this.session = options.session;
    this.#options = options;
    this.#folder = folder;
    this.#container = container;
    this.#port = port;
  }

  /** With its agent alone. */
  static async start(options: SandboxOptions): Promise<Sandbox> {
    const uid = process.getuid?.() === 0 ? USER_ID : undefined;
    const folder = await mkdtemp(join(tmpdir(), "turnabout-e2e-sandbox-"));
    const runtime = join(folder, "xdg");
    await mkdir(runtime, { mode: 0o700 });
    await writeFile(join(folder, "config"), swayConfig(options));
    if (uid !== undefined) for (const path of [folder, runtime]) await chown(path, uid, uid);
    // In a network of its own it has Helix's port; otherwise two sandboxes would conflict.
    const port = options.network === undefined ? await freePort() : 9_876;
    const env = {
      PATH: process.env["PATH"],
      HOME: folder,
      TMPDIR: folder,
      SHELL: "/bin/sh",
      LANG: "C.UTF-8",
      XDG_RUNTIME_DIR: runtime,
      SCREENSHOT_PORT: String(port),
      SCREENSHOT_HOST: "127.0.0.1",
      ...Object.fromEntries(options.environment.map((entry) => splitAt(entry, entry.indexOf("=")))),
    };
    const container = { network: options.network, uid, env, cwd: folder };
    const sandbox = new Sandbox(options, folder, container, port);
    sandbox.#startAgent();
    return sandbox;
  }

  get view(): SandboxView {
    const pids = [...this.#children].map(([name, { pid = -1 }]) => [name, pid] as const);
    return {
      session: this.session,
      stage: this.#stage,
      folder: this.#folder,
      port: this.#port,
      pids: Object.fromEntries(pids),
    };
  }

  /** Lets the next part of the start script run. */
  proceed(to: Stage): void {
    if (to === "server" && this.#stage === "agent") this.#start("server", [process.execPath, SERVER]);
    if (to === "desktop" && this.#stage === "server") {
      this.#start("sway", ["sway", "-c", join(this.#folder, "config")], {
        WLR_BACKENDS: "headless",
        WLR_LIBINPUT_NO_DEVICES: "1",
        WLR_RENDERER: "pixman",
      });
    }
    this.#stage = to;
  }

  /** A program on the desktop, as `docker exec` would run it. */
  async run(command: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const names = await readdir(join(this.#folder, "xdg"));
    const display = names.find((name) => /^wayland-\d+$/.test(name));
    const ipc = names.find((name) => name.startsWith("sway-ipc."));
    const env = {
      ...this.#container.env,
      ...(display !== undefined && { WAYLAND_DISPLAY: display }),
      ...(ipc !== undefined && { SWAYSOCK: join(this.#folder, "xdg", ipc) }),
    };
    return runIn({ ...this.#container, env }, command, options);
  }

  /** What Wolf would encode. */
  async capture(): Promise<Picture> {
    const { code, stdout, stderr } = await this.run(["grim", "-t", "ppm", "-"]);
    const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(stdout.toString("latin1", 0, 64));
    if (code !== 0 || header === null) throw new Error(`grim: ${code} ${stderr}`);
    const [text, width, height] = header;
    return { width: Number(width), height: Number(height), rgb: stdout.subarray(text.length) };
  }

  /** @returns the command lines of what did not end by itself and had to be killed */
  stop(): Promise<string[]> {
    this.#closed ??= (async () => {
      await Promise.all([...this.#children.values()].map(stop));
      const left = await this.#leftBehind();
      for (const { pid } of left) process.kill(pid, "SIGKILL");
      await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
      return left.map(({ command }) => command);
    })();
    return this.#closed;
  }

  /** Windows and clipboard owners end when their compositor does, a moment later: each look waits for the kernel. */
  async #leftBehind(): Promise<ProcessView[]> {
    const deadline = performance.now() + LEAVE_TIMEOUT_MS;
    for (;;) {
      const left = await processesWith(this.#folder);
      if (left.length === 0 || performance.now() > deadline) return left;
    }
  }

  /** Helix's start script: its command, its flags, its variables. */
  #startAgent(): void {
    const line =
      `exec "$0" "$1" -server "$HELIX_API_URL" -runner-id "sandbox-$HELIX_SESSION_ID"` +
      ` -token "$USER_API_TOKEN" -local "localhost:$SCREENSHOT_PORT"`;
    this.#start("agent", ["sh", "-c", line, process.execPath, AGENT]);
  }

  #start(name: string, command: readonly string[], env: NodeJS.ProcessEnv = {}): void {
    const container = { ...this.#container, env: { ...this.#container.env, ...env } };
    const child = start(container, command, ["ignore", "pipe", "pipe"]);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => this.#options.log(`${name}: ${chunk.toString("utf8").trim()}`));
    }
    child.once("error", (error) => this.#options.log(`${name}: ${error.message}`));
    child.once("exit", (code, signal) => this.#options.log(`${name} has ended (${signal ?? code})`));
    this.#children.set(name, child);
  }
}

/** The left window has one colour; the right one is full of characters, so that the video has something to carry. */
function swayConfig({ width, height }: SandboxOptions): string {
  const hex = Object.values(COLOUR)
    .map((value) => value.toString(16).padStart(2, "0"))
    .join("");
  return [
    "xwayland disable",
    `output * resolution ${width}x${height} position 0,0 bg #204060 solid_color`,
    "default_border none",
    "for_window [app_id=plain] move left",
    `exec foot --app-id plain -o colors.background=${hex} -e sh -c 'printf "\\033[?25l"; exec sleep infinity'`,
    "exec foot --app-id text -e sh -c 'base64 -w 200 /dev/urandom | head -c 12000; exec sleep infinity'",
    "",
  ].join("\n");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function splitAt(entry: string, at: number): [string, string] {
  return [entry.slice(0, at), entry.slice(at + 1)];
}
