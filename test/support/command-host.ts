/** Commands that end by themselves, run in one child process: a start each would cost more than what they do. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { cleanEnvironment, nodeFlags } from "./commands.ts";
import { within } from "./events.ts";

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

const TIMEOUT_MS = 60_000;

export class CommandHost implements AsyncDisposable {
  readonly #script: string;
  readonly #child: ChildProcess;

  /** @param script module that exports `main(args)` */
  constructor(script: URL) {
    this.#script = fileURLToPath(script);
    this.#child = fork(new URL("command-host.child.ts", import.meta.url), {
      execArgv: nodeFlags(),
      env: cleanEnvironment(),
    });
    // Between two commands it keeps nothing alive, and counts as nothing that a test has left open.
    this.#child.unref();
    this.#child.channel?.unref();
  }

  /** One at a time. */
  async run(args: readonly string[], env: Record<string, string> = {}): Promise<CommandResult> {
    this.#child.channel?.ref();
    try {
      this.#child.send({ script: this.#script, args, env });
      const [result] = (await within(
        once(this.#child, "message"),
        `the end of ${args.join(" ")}`,
        TIMEOUT_MS,
      )) as [CommandResult & { failure?: string }];
      if (result.failure !== undefined) throw new Error(result.failure);
      return result;
    } finally {
      this.#child.channel?.unref();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.ref();
    this.#child.disconnect();
    await within(exited, "the end of the command host", TIMEOUT_MS);
  }
}
