/** The parent's side of a worker process: start, typed calls with a deadline, kill. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { CallResult, Call, CommonCalls } from "./workers/serve.ts";

const CALL_DEADLINE_MS = 60_000;

/** Extra node flags for every worker, for example `--cpu-prof --cpu-prof-dir=/tmp/prof`. */
const WORKER_FLAGS: readonly string[] = (process.env["BENCH_WORKER_FLAGS"] ?? "").split(" ").filter(Boolean);

const children = new Set<ChildProcess>();
process.on("exit", killWorkers);

/** Whatever a section that was given up has left running. */
export function killWorkers(): void {
  for (const child of children) child.kill("SIGKILL");
}

type AnyFunction = (...args: never[]) => unknown;

/** The methods of `Calls` and what they resolve to on this side. */
type Method<Calls, Name extends keyof Calls> = Calls[Name] extends AnyFunction ? Calls[Name] : never;

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class Worker<Calls extends object> implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  private constructor(child: ChildProcess, name: string) {
    this.#child = child;
    this.#name = name;
    child.on("message", (result: CallResult) => {
      const pending = this.#pending.get(result.id);
      this.#pending.delete(result.id);
      if (result.error === undefined) pending?.resolve(result.value);
      else pending?.reject(new Error(`${name}: ${result.error}`));
    });
    child.once("exit", (code, signal) => {
      children.delete(child);
      for (const pending of this.#pending.values()) {
        pending.reject(new Error(`${name} has ended (${signal ?? code})`));
      }
    });
  }

  /** @param name of the script below `workers/`, without its ending */
  static async start<Calls extends object>(
    name: string,
    flags: readonly string[] = [],
  ): Promise<Worker<Calls>> {
    const script = new URL(`workers/${name}.ts`, import.meta.url).pathname;
    const child = spawn(process.execPath, [...WORKER_FLAGS, ...flags, script], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      serialization: "advanced",
    });
    children.add(child);
    const worker = new Worker<Calls>(child, name);
    await worker.#wait(0, "start");
    return worker;
  }

  call<Name extends keyof (Calls & CommonCalls) & string>(
    method: Name,
    ...args: Parameters<Method<Calls & CommonCalls, Name>>
  ): Promise<Awaited<ReturnType<Method<Calls & CommonCalls, Name>>>> {
    this.#lastId += 1;
    this.#child.send({ id: this.#lastId, method, args } satisfies Call);
    return this.#wait(this.#lastId, method) as Promise<
      Awaited<ReturnType<Method<Calls & CommonCalls, Name>>>
    >;
  }

  #wait(id: number, what: string): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => {
      reject(new Error(`${this.#name} ${what}: no response within ${CALL_DEADLINE_MS} ms`));
    }, CALL_DEADLINE_MS);
    this.#pending.set(id, { resolve, reject });
    return promise.finally(() => clearTimeout(timer));
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    // A chance to write a profile; the call's own deadline is far too long for it.
    this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 2_000);
    await once(this.#child, "exit");
    clearTimeout(timer);
  }
}
