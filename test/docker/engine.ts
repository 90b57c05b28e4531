/**
 * A Docker Engine of the test's own: dockerd in network, mount, process and IPC namespaces that end with the test,
 * also when it is killed. Nothing of the machine's own network, firewall or Docker is touched.
 *
 *     await using engine = await Engine.start();
 *     await engine.command("docker", ["run", "--rm", "base", "true"]);
 *     const url = await engine.publish("172.19.0.20", 8080);      // from the test's own network
 */
import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { globSync, openSync, closeSync, readFileSync, rmdirSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Docker from "dockerode";
import { within } from "../support/events.ts";
import { missing } from "../support/parts.ts";
import { DOCKER_PARTS } from "./parts.ts";

const GATE = fileURLToPath(new URL("gate.child.ts", import.meta.url));
const NAMESPACES = ["--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"];
const FOLDER = "turnabout-docker-";

/** A busy machine: alone it takes a second. */
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
const COMMAND_TIMEOUT_MS = 600_000;
const MAX_OUTPUT_BYTES: number = 64 * 1024 * 1024;
/** The kernel frees a control group a moment after its last process. */
const GROUP_ATTEMPTS = 200;

export interface EngineOptions {
  /** Further arguments of dockerd. */
  args?: readonly string[];
}

export interface CommandOptions {
  cwd?: string;
  env?: Record<string, string | undefined>;
  /** For its standard input. */
  input?: string | Buffer;
  timeoutMs?: number;
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Why it is not possible here, or `false`. */
export function engineCannot(): string | false {
  const absent = missing(...DOCKER_PARTS.map(({ name }) => name));
  if (absent !== false) return absent;
  return process.getuid?.() === 0 ? false : "an engine of its own needs root";
}

export class Engine implements AsyncDisposable {
  readonly folder: string;
  readonly socketPath: string;
  readonly docker: Docker;
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #published: { server: Server; sockets: Set<Socket> }[] = [];
  #gate: ChildProcess | undefined;

  private constructor(folder: string, child: ChildProcess) {
    this.folder = folder;
    this.#name = nameOf(folder);
    this.socketPath = join(folder, "docker.sock");
    this.docker = new Docker({ socketPath: this.socketPath });
    this.#child = child;
    this.#ended = once(child, "exit");
  }

  /** Resolves when the engine responds. */
  static async start({ args = [] }: EngineOptions = {}): Promise<Engine> {
    await removeLeftovers();
    const folder = await mkdtemp(join(tmpdir(), `${FOLDER}${process.pid}-`));
    await mkdir(join(folder, "gates"));
    const log = openSync(join(folder, "dockerd.log"), "w");
    const line = [
      ["--pdeathsig", "KILL", "unshare", ...NAMESPACES, "tini", "--", "sh", "-c"],
      ['ip link set lo up && exec "$@"', "sh", "dockerd", "--host", `unix://${join(folder, "docker.sock")}`],
      ["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")],
      ["--pidfile", join(folder, "dockerd.pid"), "--exec-opt", "native.cgroupdriver=cgroupfs"],
      ["--cgroup-parent", `/${nameOf(folder)}`, "--shutdown-timeout", "5", ...args],
    ].flat();
    const child = spawn("setpriv", line, {
      stdio: ["ignore", log, log],
      // Neither a proxy of ours nor a configuration in our home is the engine's.
      env: { PATH: searchPath(), HOME: folder },
    });
    closeSync(log);
    const engine = new Engine(folder, child);
    try {
      await within(engine.#responds(), "the Docker Engine", START_TIMEOUT_MS);
    } catch (cause) {
      const text = readFileSync(join(folder, "dockerd.log"), "utf8");
      await engine[Symbol.asyncDispose]();
      throw new Error(`dockerd did not start: ${text.slice(-4_000)}`, { cause });
    }
    return engine;
  }

  /** To be put in front of a command line that is to run in the engine's network. */
  get through(): readonly [string, ...string[]] {
    return ["nsenter", `--net=/proc/${this.#child.pid}/ns/net`];
  }

  /** For programs that are to talk to this engine. */
  get env(): Record<string, string> {
    // Without buildx only the builder that is part of the engine is there, in every version of the command.
    return { DOCKER_HOST: `unix://${this.socketPath}`, DOCKER_BUILDKIT: "0", DOCKER_CONFIG: this.folder };
  }

  get log(): string {
    return readFileSync(join(this.folder, "dockerd.log"), "utf8");
  }

  /** Runs a program in the engine's network, and never fails because of its exit status. */
  async run(program: string, args: readonly string[], options: CommandOptions = {}): Promise<Ran> {
    const [nsenter, ...network] = this.through;
    return new Promise((resolve, reject) => {
      const child = execFile(
        nsenter,
        [...network, program, ...args],
        {
          ...(options.cwd !== undefined && { cwd: options.cwd }),
          env: { ...process.env, PATH: searchPath(), ...this.env, ...options.env },
          timeout: options.timeoutMs ?? COMMAND_TIMEOUT_MS,
          killSignal: "SIGKILL",
          maxBuffer: MAX_OUTPUT_BYTES,
        },
        (error, stdout, stderr) => {
          const code = error === null ? 0 : error.code;
          if (typeof code === "number") resolve({ code, stdout, stderr });
          else reject(error ?? new Error(program));
        },
      );
      child.stdin?.on("error", () => {}); // it may end without reading
      child.stdin?.end(options.input);
    });
  }

  /** @returns its standard output; @throws Error with its output if its exit status is not 0 */
  async command(program: string, args: readonly string[], options?: CommandOptions): Promise<string> {
    const { code, stdout, stderr } = await this.run(program, args, options);
    if (code === 0) return stdout;
    throw new Error(`${program} ${args.join(" ")}: status ${code}: ${stdout}${stderr}`);
  }

  /** Connects inside the engine's network: to a container's address, or to a published port on 127.0.0.1. */
  async connect(host: string, port: number): Promise<Socket> {
    const socket = connect({ path: await this.#openGate(), allowHalfOpen: true });
    await once(socket, "connect");
    socket.write(`${JSON.stringify([host, port])}\n`);
    return socket;
  }

  /** @returns a port of 127.0.0.1 in the test's own network that leads there, until the engine ends */
  async publish(host: string, port: number): Promise<number> {
    const path = await this.#openGate();
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ path, allowHalfOpen: true });
      far.write(`${JSON.stringify([host, port])}\n`);
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on("error", () => socket.destroy());
        socket.once("close", () => sockets.delete(socket));
      }
      near.once("close", () => {
        if (!near.readableEnded) far.destroy();
      });
      far.once("close", () => {
        if (!far.readableEnded) near.resetAndDestroy();
      });
      near.pipe(far);
      far.pipe(near);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.#published.push({ server, sockets });
    return (server.address() as AddressInfo).port;
  }

  /** Ends it with everything that runs in it, at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { server, sockets } of this.#published) {
      server.close();
      for (const socket of sockets) socket.destroy();
    }
    this.#gate?.stdin?.end();
    // The namespaces' first process dies with its parent, and everything in them with it.
    this.#child.kill("SIGKILL");
    await within(this.#ended, "the end of the Docker Engine", STOP_TIMEOUT_MS);
    if (this.#gate !== undefined && this.#gate.exitCode === null) await once(this.#gate, "exit");
    await removeFolder(this.folder);
    await removeGroups(this.#name);
  }

  async #responds(): Promise<void> {
    const ended = this.#ended.then(() => Promise.reject(new Error("it has ended")));
    ended.catch(() => {});
    for (;;) {
      const ping = this.docker.ping().then(
        () => true,
        () => false,
      );
      if (await Promise.race([ping, ended])) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #openGate(): Promise<string> {
    const path = join(this.folder, "gates", "gate.sock");
    if (this.#gate !== undefined) return path;
    const [program, ...args] = this.through;
    const gate = spawn(program, [...args, process.execPath, GATE, path], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    gate.stdin.on("error", () => {});
    this.#gate = gate;
    await within(once(gate.stdout, "data"), "the way into the engine's network", START_TIMEOUT_MS);
    return path;
  }
}

function nameOf(folder: string): string {
  return folder.split("/").at(-1) ?? folder;
}

/** Debian's own command first: it is the engine's, wherever another one is installed. */
function searchPath(): string {
  return `/usr/sbin:/usr/bin:/sbin:/bin:${process.env["PATH"] ?? ""}`;
}

/** What a test has left that was killed, machine and all: processes and mounts never outlive their namespaces. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const [, pid] = new RegExp(`^${FOLDER}(\\d+)-`).exec(name) ?? [];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await removeFolder(join(tmpdir(), name));
    await removeGroups(name);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

/** In version 1 there is a tree for each controller, in version 2 one for all. */
async function removeGroups(name: string): Promise<void> {
  for (let attempt = 0; attempt < GROUP_ATTEMPTS; attempt += 1) {
    const roots = globSync([`/sys/fs/cgroup/${name}`, `/sys/fs/cgroup/*/${name}`]);
    if (roots.length === 0) return;
    for (const root of roots) {
      const groups = globSync(`${root}/**/`).toSorted((a, b) => b.length - a.length);
      for (const group of [...groups, root]) {
        try {
          rmdirSync(group);
        } catch {
          // not empty yet
        }
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`control groups of ${name} are not empty`);
}
