/** A `turnabout serve` that this process has started: with the listening socket as descriptor 3, and an IPC channel. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Incumbent, Successor } from "./hand-over.ts";
import { STARTED_BY } from "./inheritance.ts";
import type { StartedBy } from "./inheritance.ts";
import { readToParent } from "./messages.ts";
import type { ToChild, ToParent } from "./messages.ts";
import { UpgradeError } from "./upgrade-error.ts";

export interface ServeProcessOptions {
  /** Of the command line, behind node's own. */
  args: readonly string[];
  environment: Readonly<NodeJS.ProcessEnv>;
  listenFd: number;
  startedBy: StartedBy;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** Descriptors 0 to 2 are shared; 3 is `LISTEN_FD`; the channel's number does not matter. */
export class ServeProcess implements Incumbent, Successor {
  readonly prepared: Promise<void>;
  readonly listening: Promise<void>;
  readonly exited: Promise<Exit>;
  /** Its operator has requested an upgrade. */
  onUpgradeWanted: () => void = () => {};
  readonly #child: ChildProcess;
  readonly #start = {
    prepared: Promise.withResolvers<void>(),
    listening: Promise.withResolvers<void>(),
  };
  /** The reply to `release` or `reopen`: one at a time. */
  #reply: { type: ToParent["type"]; done: PromiseWithResolvers<void> } | undefined;
  #failure: string | undefined;
  #running = true;

  constructor({ args, environment, listenFd, startedBy }: ServeProcessOptions) {
    const { promise: exited, resolve } = Promise.withResolvers<Exit>();
    this.exited = exited;
    this.prepared = this.#start.prepared.promise;
    this.listening = this.#start.listening.promise;
    for (const promise of [this.prepared, this.listening]) promise.catch(() => {}); // also if no one waits
    this.#child = spawn(process.execPath, [...process.execArgv, ...args], {
      stdio: ["inherit", "inherit", "inherit", listenFd, "ipc"],
      env: { ...environment, [STARTED_BY]: startedBy },
    });
    const end = (exit: Exit, how: string): void => {
      if (!this.#running) return;
      this.#running = false;
      this.#reject(new UpgradeError(this.#failure ?? how, "its own log lines say more"));
      resolve(exit);
    };
    this.#child.on("message", (value) => {
      const message = readToParent(value);
      if (message !== undefined) this.#receive(message);
    });
    this.#child.on("error", (error) => {
      // Of a start (no 'exit' follows), or of a message to a process that has ended.
      if (this.#child.pid === undefined) end({ code: 1, signal: null }, error.message);
    });
    this.#child.on("exit", (code, signal) =>
      end({ code, signal }, `the process ended before it served: ${signal ?? `status ${code}`}`),
    );
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get running(): boolean {
    return this.#running;
  }

  takeOver(): void {
    this.send({ type: "take-over" });
  }

  /** If it has ended, its lock is free as well. */
  release(): Promise<void> {
    return this.#request("release", "released");
  }

  reopen(): Promise<void> {
    return this.#request("reopen", "reopened");
  }

  send(message: ToChild): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
  }

  /** It is on its own from now on. */
  letGo(): void {
    if (this.#child.connected) this.#child.disconnect();
    this.#child.unref();
  }

  #receive(message: ToParent): void {
    switch (message.type) {
      case "prepared":
        return this.#start.prepared.resolve();
      case "listening":
        return this.#start.listening.resolve();
      case "upgrade":
        return this.onUpgradeWanted();
      case "failed":
        this.#failure = message.reason;
        return this.#reply?.done.reject(new UpgradeError(message.reason, "its own log lines say more"));
      case "released":
      case "reopened":
        if (this.#reply?.type === message.type) this.#reply.done.resolve();
    }
  }

  #reject(error: UpgradeError): void {
    this.#start.prepared.reject(error);
    this.#start.listening.reject(error);
    this.#reply?.done.resolve();
  }

  async #request(type: "release" | "reopen", reply: "released" | "reopened"): Promise<void> {
    if (!this.#running) return;
    const done = Promise.withResolvers<void>();
    this.#reply = { type: reply, done };
    this.send({ type });
    await done.promise;
  }
}
