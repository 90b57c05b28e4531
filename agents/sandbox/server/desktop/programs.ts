/** Runs the desktop's tools: bounded in time and output, and none outlives the server. */
import { spawn } from "node:child_process";
import type { ChildProcess, SpawnOptions } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { errorCodeOf, messageOf } from "../errors.ts";
import { MAX_COMPLAINT_BYTES, PROGRAM_STOP_TIMEOUT_MS } from "../limits.ts";

export type Environment = Record<string, string | undefined>;

export interface RunOptions {
  env: Environment;
  timeoutMs: number;
  maxOutputBytes: number;
  stdin?: Uint8Array;
  /**
   * `exit`: done when the program itself has ended, although a child of its own lives on and holds its output, as
   * wl-copy's does. Default: when the output has ended.
   */
  until?: "exit" | "close";
}

/** The message is the program's name and the reason. */
export class ProgramError extends Error {
  override readonly name = "ProgramError";
  /** The program's standard error, or how it ended. */
  readonly reason: string;

  constructor(program: string, reason: string, options?: ErrorOptions) {
    super(`${program}: ${reason}`, options);
    this.reason = reason;
  }
}

/** Why a program did not start, in the words of Helix's server: Node's `spawn ENOENT` names no cause. */
export function startFailure(program: string, error: unknown): string {
  if (errorCodeOf(error) === "ENOENT") return `exec: "${program}": executable file not found in $PATH`;
  if (errorCodeOf(error) === "EACCES") return `exec: "${program}": permission denied`;
  return messageOf(error);
}

export class Programs {
  readonly #live = new Set<ChildProcess>();

  /** Processes that we started and that have not ended. */
  get running(): number {
    return this.#live.size;
  }

  /** A long-lived program. Its 'error' event is handled. */
  start(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    const child = spawn(program, args, options);
    // With an error there is no pid, and 'exit' never comes.
    child.on("error", () => this.#live.delete(child));
    if (child.pid !== undefined) this.#live.add(child);
    child.once("exit", () => this.#live.delete(child));
    return child;
  }

  /** As {@link start}; the kernel ends it if we are killed (util-linux's setpriv, part of every Debian). */
  startBound(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    return this.start("setpriv", ["--pdeathsig", "TERM", program, ...args], options);
  }

  /** Its standard output. @throws ProgramError if it cannot start, fails, takes too long or writes too much */
  async run(program: string, args: readonly string[], options: RunOptions): Promise<Buffer> {
    const { env, timeoutMs, maxOutputBytes, stdin, until = "close" } = options;
    const child = this.start(program, args, {
      env,
      stdio: [stdin === undefined ? "ignore" : "pipe", until === "exit" ? "ignore" : "pipe", "pipe"],
    });
    let reason: string | undefined;
    const kill = (why: string): void => {
      reason ??= why;
      child.kill("SIGKILL");
      // Grandchildren may hold the pipes open; we do not read on.
      child.stdout?.destroy();
      child.stderr?.destroy();
    };
    const output = collect(child.stdout, maxOutputBytes, () => kill(`more than ${maxOutputBytes} bytes`));
    const complaint = collect(child.stderr, MAX_COMPLAINT_BYTES);
    child.stdin?.on("error", () => {}); // it ended without reading everything
    if (stdin !== undefined) child.stdin?.end(stdin);
    const timer = setTimeout(() => kill(`timed out after ${timeoutMs} ms`), timeoutMs);
    try {
      const { code, signal } = await ended(child, program, until);
      if (reason !== undefined) throw new ProgramError(program, reason);
      if (code === 0) return Buffer.concat(output);
      const complaintText = Buffer.concat(complaint).toString("utf8").trim();
      throw new ProgramError(program, complaintText === "" ? howEnded({ code, signal }) : complaintText);
    } finally {
      clearTimeout(timer);
      child.stderr?.destroy();
    }
  }

  /** Ends a program and waits for it. Harmless when it has ended. */
  async stop(child: ChildProcess): Promise<void> {
    if (!this.#live.has(child)) return;
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), PROGRAM_STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#live].map((child) => this.stop(child)));
  }
}

export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** As Go reports it, and so Helix's server. */
export function howEnded({ code, signal }: Ending): string {
  return signal === null ? `exit status ${code}` : `signal: ${signal}`;
}

function ended(child: ChildProcess, program: string, until: "exit" | "close"): Promise<Ending> {
  return new Promise((resolve, reject) => {
    child.once("error", (error) =>
      reject(new ProgramError(program, startFailure(program, error), { cause: error })),
    );
    child.once("close", (code, signal) => resolve({ code, signal }));
    // After a failure no other process holds the output, and its text is worth waiting for 'close'.
    child.once("exit", (code, signal) => {
      if (until === "exit" && code === 0) resolve({ code, signal });
    });
  });
}

/** The first `maxBytes`. Without `onTooMuch` the rest is read and dropped. */
function collect(stream: Readable | null, maxBytes: number, onTooMuch?: () => void): Buffer[] {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= maxBytes) chunks.push(chunk);
    else onTooMuch?.();
  });
  stream?.on("error", () => {});
  return chunks;
}
