/**
 * Podman's service with Docker's API, in network, mount, process and IPC namespaces that end with the test. It writes
 * below /etc/cni and /var/lib/cni whatever its options: those are private here, too.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { within } from "../support/events.ts";
import { missing } from "../support/parts.ts";
import { PODMAN_PARTS } from "./parts.ts";
import { engineCannot } from "./engine.ts";

const NAMESPACES = ["--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"];
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
/** Where there is no right to raise limits, its defaults let every container fail. */
const CONFIGURATION = `[containers]
default_ulimits=["nofile=4096:4096","nproc=8192:8192"]
[engine]
cgroup_manager="cgroupfs"
events_logger="file"
`;
const SCRIPT = `ip link set lo up
for folder in /etc/cni/net.d /var/lib/cni; do
  if [ -d $folder ]; then mount -t tmpfs tmpfs $folder; fi
done
exec "$@"`;

/** Why it is not possible here, or `false`. */
export function podmanCannot(): string | false {
  const absent = missing(...PODMAN_PARTS.map(({ name }) => name));
  return absent === false ? engineCannot() : absent;
}

export class Podman implements AsyncDisposable {
  readonly folder: string;
  readonly socketPath: string;
  readonly docker: Docker;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(folder: string, child: ChildProcess) {
    this.folder = folder;
    this.socketPath = join(folder, "podman.sock");
    this.docker = new Docker({ socketPath: this.socketPath });
    this.#child = child;
    this.#ended = once(child, "exit");
  }

  /** Resolves when it responds. */
  static async start(): Promise<Podman> {
    const folder = await mkdtemp(join(tmpdir(), "turnabout-podman-"));
    const configuration = join(folder, "containers.conf");
    await writeFile(configuration, CONFIGURATION);
    const log = openSync(join(folder, "podman.log"), "w");
    const line = [
      ["--pdeathsig", "KILL", "unshare", ...NAMESPACES, "tini", "--", "sh", "-c", SCRIPT, "sh"],
      ["podman", "--root", join(folder, "root"), "--runroot", join(folder, "run")],
      ["--cgroup-manager", "cgroupfs", "--tmpdir", join(folder, "tmp")],
      ["system", "service", "--time=0", `unix://${join(folder, "podman.sock")}`],
    ].flat();
    const child = spawn("setpriv", line, {
      stdio: ["ignore", log, log],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: folder, CONTAINERS_CONF: configuration },
    });
    closeSync(log);
    const podman = new Podman(folder, child);
    try {
      await within(podman.#responds(), "Podman", START_TIMEOUT_MS);
    } catch (cause) {
      const text = readFileSync(join(folder, "podman.log"), "utf8");
      await podman[Symbol.asyncDispose]();
      throw new Error(`podman did not start: ${text.slice(-4_000)}`, { cause });
    }
    return podman;
  }

  /** Ends it with everything that runs in it, at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await within(this.#ended, "the end of Podman", STOP_TIMEOUT_MS);
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
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
}
