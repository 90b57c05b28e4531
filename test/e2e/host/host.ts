/** The test's handle of Wolf's side: starts it, calls it, ends it. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { within } from "../../support/events.ts";
import type { HostResult, HostCall, HostCalls, HostOptions, HostView } from "./calls.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const CALL_TIMEOUT_MS = 20_000;

export interface StartOptions extends HostOptions {
  /** Put in front of its command line: `nsenter` for a network of its own. */
  through?: readonly string[];
  env?: NodeJS.ProcessEnv;
}

export class WolfHost implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #exited: Promise<unknown>;
  /** Output of it and of the programs of its sandboxes. */
  readonly log: string[] = [];
  #lastId = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = once(child, "close");
    child.on("message", ({ id, value, error }: HostResult) => {
      const pending = this.#pending.get(id);
      this.#pending.delete(id);
      if (error === undefined) pending?.resolve(value);
      else pending?.reject(new Error(`Wolf's side: ${error}`));
    });
    child.once("exit", (code, signal) => {
      for (const { reject } of this.#pending.values()) {
        reject(new Error(`Wolf's side has ended (${signal ?? code}):\n${this.log.join("\n")}`));
      }
    });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on("line", (line) => this.log.push(line));
    }
  }

  /** Resolves when Wolf and Moonlight Web listen. */
  static async start({ through = [], env, ...options }: StartOptions): Promise<WolfHost> {
    const line = [...through, process.execPath, MAIN];
    const child = spawn(line[0] ?? "", line.slice(1), {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      serialization: "advanced",
      env: { ...process.env, ...env, NODE_TEST_CONTEXT: undefined, E2E_HOST: JSON.stringify(options) },
    });
    const host = new WolfHost(child);
    const up = Promise.withResolvers<unknown>();
    host.#pending.set(0, up);
    try {
      await within(up.promise, "Wolf's side");
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
    return host;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  async call<Name extends keyof HostCalls>(
    method: Name,
    ...args: Parameters<HostCalls[Name]>
  ): Promise<Awaited<ReturnType<HostCalls[Name]>>> {
    this.#lastId += 1;
    const id = this.#lastId;
    const pending = Promise.withResolvers<unknown>();
    this.#pending.set(id, pending);
    this.#child.send({ id, method, args } satisfies HostCall);
    const value = await within(pending.promise, `${method} of Wolf's side`, CALL_TIMEOUT_MS);
    return value as Awaited<ReturnType<HostCalls[Name]>>;
  }

  view(): Promise<HostView> {
    return this.call("view");
  }

  /** Polls, because it emits no event here. */
  async until(what: string, check: (view: HostView) => boolean, timeoutMs = 15_000): Promise<HostView> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const view = await this.view();
      if (check(view)) return view;
      if (performance.now() > deadline) {
        throw new Error(`${what}: not within ${timeoutMs} ms: ${JSON.stringify(view)}`);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGTERM");
    try {
      await within(this.#exited, "the end of Wolf's side", CALL_TIMEOUT_MS);
    } catch (error) {
      this.#child.kill("SIGKILL"); // its sandboxes end with it
      throw error;
    }
  }
}
