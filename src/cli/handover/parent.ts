/** The channel to the process that has started this one: the one that it succeeds, or its supervisor. */
import type { StartedBy } from "./inheritance.ts";
import { readToChild } from "./messages.ts";
import type { ToChild, ToParent } from "./messages.ts";
import { UpgradeError } from "./upgrade-error.ts";

/** What a supervisor has its child do. */
export interface Supervised {
  release(): Promise<void>;
  reopen(): Promise<void>;
  /** Drains and ends, because a successor serves or the whole service is to end; or ends at once. */
  end(how: "retired" | "stopped" | "at once"): void;
}

export class Parent {
  readonly startedBy: StartedBy;
  readonly #mayTakeOver = Promise.withResolvers<void>();
  #supervised: Supervised | undefined;
  #upgrade: PromiseWithResolvers<number> | undefined;
  #failed = false;

  constructor(startedBy: StartedBy) {
    this.startedBy = startedBy;
    process.on("message", (value) => {
      const message = readToChild(value);
      if (message !== undefined) this.#receive(message);
    });
    process.once("disconnect", () => this.#lost());
  }

  /** Reports that all checks have passed. Resolves when the store and the port are free. */
  async prepared(): Promise<void> {
    this.#send({ type: "prepared" });
    await this.#mayTakeOver.promise;
  }

  listening(): void {
    this.#send({ type: "listening" });
  }

  /** Reports why the start has failed; the process ends. */
  failed(reason: string): void {
    this.#send({ type: "failed", reason });
    this.#failed = true;
    if (process.connected) process.disconnect?.();
  }

  follow(supervised: Supervised): void {
    this.#supervised = supervised;
    if (!process.connected && this.startedBy === "supervisor") supervised.end("stopped");
  }

  /**
   * Has the supervisor start a successor. Resolves with its pid.
   *
   * @throws UpgradeError
   */
  async upgrade(): Promise<number> {
    if (this.#upgrade !== undefined) throw new UpgradeError("another upgrade is running", "wait for its end");
    const upgrade = Promise.withResolvers<number>();
    this.#upgrade = upgrade;
    this.#send({ type: "upgrade" });
    return upgrade.promise.finally(() => (this.#upgrade = undefined));
  }

  #receive(message: ToChild): void {
    switch (message.type) {
      case "take-over":
        return this.#mayTakeOver.resolve();
      case "release":
        return this.#reply("released", this.#supervised?.release());
      case "reopen":
        return this.#reply("reopened", this.#supervised?.reopen());
      case "retire":
        this.#upgrade?.resolve(message.pid);
        return this.#supervised?.end("retired");
      case "stop":
        return this.#supervised?.end(message.atOnce ? "at once" : "stopped");
      case "upgrade-failed":
        return this.#upgrade?.reject(new UpgradeError(message.reason, message.hint));
    }
  }

  #reply(type: "released" | "reopened", work: Promise<void> = Promise.resolve()): void {
    work.then(
      () => this.#send({ type }),
      (error: unknown) => this.#send({ type: "failed", reason: (error as Error).message }),
    );
  }

  #lost(): void {
    if (this.#failed) return;
    this.#upgrade?.reject(new UpgradeError("the supervisor has ended", "start it again"));
    if (this.startedBy === "supervisor") {
      if (this.#supervised === undefined) process.exit(1); // nothing is served yet
      return this.#supervised.end("stopped"); // nothing would restart it, and its port may be wanted
    }
    // The process that it was to succeed has died: its store is free, and its port is here.
    this.#mayTakeOver.resolve();
  }

  #send(message: ToParent): void {
    if (process.connected) process.send?.(message, undefined, undefined, () => {});
  }
}
