/** A Go program of this folder as a process of its own, followed by the lines that it logs. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { closedAtTheEnd } from "../support/cleanup.ts";
import { cleanEnvironment } from "../support/commands.ts";
import { EventLog } from "../support/event-log.ts";
import { within } from "../support/events.ts";
import { partPath } from "../support/parts.ts";

export class GoProgram implements AsyncDisposable {
  readonly lines: EventLog<string> = new EventLog();
  readonly output: EventLog<string> = new EventLog();
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(part: string, args: readonly string[]) {
    this.#child = spawn(partPath(part), args, { stdio: ["ignore", "pipe", "pipe"], env: cleanEnvironment() });
    const { promise, resolve } = Promise.withResolvers<number | null>();
    this.#child.once("close", resolve);
    this.exited = promise;
    closedAtTheEnd(() => this[Symbol.asyncDispose]());
    const { stdout, stderr } = this.#child;
    if (stdout !== null) createInterface({ input: stdout }).on("line", this.output.push);
    if (stderr !== null) createInterface({ input: stderr }).on("line", this.lines.push);
  }

  /** The first line with this text, from the `from`th on. */
  async logged(text: string, from = 0): Promise<string> {
    return this.lines.find((line) => line.includes(text), `line ${JSON.stringify(text)}`, { from });
  }

  /** Sends the signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal);
    await within(this.exited, "the end of a Go program");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }
}
