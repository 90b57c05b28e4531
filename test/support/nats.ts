/** A real NATS server with JetStream, which a test may kill and start again on the same port and files. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { closedAtTheEnd } from "./cleanup.ts";
import { eventually } from "./events.ts";
import { partPath } from "./parts.ts";
import { tempPath } from "./temp.ts";

export interface NatsServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** SIGKILL; what it has acknowledged is in its files. */
  kill(): Promise<void>;
  /** After a kill. */
  start(): Promise<void>;
}

export async function startNats(): Promise<NatsServer> {
  const folder = tempPath(".nats");
  mkdirSync(folder);
  const config = path.join(folder, "server.conf");
  let child: ChildProcess | undefined;
  let port = -1; // a free one

  async function start(): Promise<void> {
    const limits = "max_mem: 64MB, max_file: 256MB";
    writeFileSync(config, `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${folder}", ${limits} }\n`);
    const started = spawn(partPath("nats-server"), ["-c", config, "--ports_file_dir", folder], {
      stdio: "ignore",
    });
    child = started;
    await eventually(() => portOf(started.pid ?? 0) !== undefined, "the ports of nats-server");
    port = portOf(started.pid ?? 0) ?? port;
  }

  function portOf(pid: number): number | undefined {
    try {
      const text = readFileSync(path.join(folder, `nats-server_${pid}.ports`), "utf8");
      const { nats = [] } = JSON.parse(text) as { nats?: string[] };
      return nats[0] === undefined ? undefined : Number(new URL(nats[0]).port);
    } catch {
      return undefined; // not yet, or not whole
    }
  }

  async function kill(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  const close = closedAtTheEnd(kill);
  await start();
  return { port, url: `nats://127.0.0.1:${port}`, kill, start, [Symbol.asyncDispose]: close };
}
