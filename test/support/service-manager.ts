/** The part of a service manager that services report to: a notification socket (sd_notify(3)). Needs `python3`. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { EventLog } from "./event-log.ts";
import { partPath } from "./parts.ts";
import { tempPath } from "./temp.ts";

export class ServiceManager implements AsyncDisposable {
  readonly path: string = tempPath();
  readonly messages: EventLog<string> = new EventLog();
  readonly #child: ChildProcess;

  private constructor() {
    const script = fileURLToPath(new URL("./notify_socket.py", import.meta.url));
    this.#child = spawn(partPath("python3"), [script, this.path], { stdio: ["ignore", "pipe", "inherit"] });
    const { stdout } = this.#child;
    if (stdout !== null) createInterface({ input: stdout }).on("line", this.messages.push);
  }

  static async start(): Promise<ServiceManager> {
    const manager = new ServiceManager();
    await manager.messages.find((line) => line === "ready", "the socket");
    return manager;
  }

  /** A barrier is what `systemd-notify` waits for, no message. */
  get received(): string[] {
    return this.messages.all.filter((line) => line !== "ready" && line !== "BARRIER=1");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await once(this.#child, "close");
  }
}
