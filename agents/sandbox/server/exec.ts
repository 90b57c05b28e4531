/**
 * `POST /exec` `{command, background, timeout, env}`: runs one of a few programs on the desktop.
 *
 * A program is allowed by its bare name and found in this server's own PATH. Variables are allowed by name as well:
 * with LD_PRELOAD, PATH or a driver's variable, an allowed program would run an uploaded file.
 */
import type { ChildProcess } from "node:child_process";
import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { z } from "zod";
import { parseJson, readBody } from "./http/body.ts";
import { Failure, messageOf, methodNotAllowed } from "./errors.ts";
import { Semaphore } from "./semaphore.ts";
import {
  EXEC_TIMEOUT_MS,
  MAX_BACKGROUND_PROGRAMS,
  MAX_EXEC_BYTES,
  MAX_EXEC_OUTPUT_BYTES,
  MAX_EXEC_TIMEOUT_MS,
  MAX_EXECS,
  MAX_WAITING_EXECS,
} from "./limits.ts";
import type { Logger } from "./log.ts";
import { howEnded, startFailure } from "./desktop/programs.ts";
import type { Ending, Environment, Programs } from "./desktop/programs.ts";

/** Helix's: programs that draw, to measure with, and what ends them. */
export const EXEC_ALLOWED: readonly string[] = [
  "vkcube",
  "glxgears",
  "weston-simple-egl",
  "pkill",
  "killall",
  "ls",
  "echo",
];

const ALLOWED_VARIABLES =
  /^(?:DISPLAY|WAYLAND_DISPLAY|TERM|TZ|LANG|LC_[A-Z]+|XDG_SESSION_TYPE|vblank_mode|__GL_SYNC_TO_VBLANK)$/;

const Request = z.object({
  command: z.array(z.string()).default([]),
  background: z.boolean().default(false),
  /** Seconds. */
  timeout: z.number().default(0),
  env: z.record(z.string(), z.string()).default({}),
});

type Request = z.infer<typeof Request>;

interface ExecResponse {
  success: boolean;
  output?: string;
  error?: string;
  exit_code: number;
  pid?: number;
}

export interface ExecOptions {
  programs: Programs;
  allowed: readonly string[];
  environment: () => Promise<Environment>;
  log: Logger;
  onChange: () => void;
}

export function execRoutes(options: ExecOptions): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  const executions = new Semaphore("programs", MAX_EXECS, MAX_WAITING_EXECS);
  const background = new Background(options.programs);
  app.all("/exec", async (c) => {
    if (c.req.method !== "POST") return methodNotAllowed("POST");
    const request = parse(await readBody(c.env.incoming, MAX_EXEC_BYTES, "Request too large"));
    check(request, options.allowed);
    const env = { ...(await options.environment()), ...request.env };
    options.log.info({ program: request.command[0], background: request.background }, "exec");
    const response = request.background
      ? await background.start(request.command, env)
      : await executions.run(() => run(options.programs, request, env, c.req.raw.signal));
    options.onChange();
    return c.json(response);
  });
  return app;
}

function parse(body: Buffer): Request {
  let value: unknown;
  try {
    value = parseJson(body);
  } catch (error) {
    throw new Failure(400, `invalid JSON: ${messageOf(error)}`, { cause: error });
  }
  const parsed = Request.safeParse(value);
  if (!parsed.success) throw new Failure(400, "invalid request");
  if (parsed.data.command.some((argument) => argument.includes("\0"))) {
    throw new Failure(400, "invalid request");
  }
  return parsed.data;
}

function check({ command, env }: Request, allowed: readonly string[]): void {
  const [name] = command;
  if (name === undefined) throw new Failure(400, "command is required");
  if (name.includes("/") || !allowed.includes(name)) {
    throw new Failure(403, `command not allowed: ${name.slice(0, 100)}`);
  }
  const variable = Object.keys(env).find((key) => !ALLOWED_VARIABLES.test(key));
  if (variable !== undefined) throw new Failure(403, `variable not allowed: ${variable.slice(0, 100)}`);
  if (Object.values(env).some((value) => value.includes("\0"))) throw new Failure(400, "invalid request");
}

/** Programs without an end of their own: they end with the server. */
class Background {
  readonly #programs: Programs;
  #running = 0;

  constructor(programs: Programs) {
    this.#programs = programs;
  }

  async start([name = "", ...args]: readonly string[], env: Environment): Promise<ExecResponse> {
    if (this.#running >= MAX_BACKGROUND_PROGRAMS) throw new Failure(503, "Too many programs");
    const child = this.#programs.start(name, args, { env, stdio: "ignore" });
    this.#running += 1;
    const error = await new Promise<Error | undefined>((resolve) => {
      child.once("spawn", () => resolve(undefined));
      child.once("error", resolve);
    });
    if (error !== undefined || child.pid === undefined) {
      this.#running -= 1;
      return { success: false, error: startFailure(name, error), exit_code: -1 };
    }
    child.once("exit", () => (this.#running -= 1));
    return { success: true, exit_code: 0, pid: child.pid };
  }
}

async function run(
  programs: Programs,
  { command: [name = "", ...args], timeout }: Request,
  env: Environment,
  signal: AbortSignal,
): Promise<ExecResponse> {
  const timeoutMs = timeout > 0 ? Math.min(timeout * 1_000, MAX_EXEC_TIMEOUT_MS) : EXEC_TIMEOUT_MS;
  // A group of its own, so that its children end with it.
  const child = programs.start(name, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const output: Buffer[] = [];
  let size = 0;
  const collect = (chunk: Buffer): void => {
    if (size < MAX_EXEC_OUTPUT_BYTES) output.push(chunk.subarray(0, MAX_EXEC_OUTPUT_BYTES - size));
    size += chunk.length;
  };
  child.stdout?.on("data", collect);
  child.stderr?.on("data", collect);
  let reason: string | undefined;
  const kill = (why: string): void => {
    reason ??= why;
    killGroup(child);
  };
  const timer = setTimeout(() => kill(`timed out after ${timeoutMs / 1_000} s`), timeoutMs);
  const onAbort = (): void => kill("the caller disconnected");
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    const ending = await new Promise<Ending | Error>((resolve) => {
      child.once("error", resolve);
      child.once("close", (code, endedBy) => resolve({ code, signal: endedBy }));
    });
    if (ending instanceof Error) {
      return { success: false, error: startFailure(name, ending), exit_code: -1 };
    }
    const text = Buffer.concat(output).toString("utf8").trim();
    const outputField = text === "" ? {} : { output: text };
    if (reason === undefined && ending.code === 0) return { success: true, ...outputField, exit_code: 0 };
    return {
      success: false,
      ...outputField,
      error: reason ?? howEnded(ending),
      exit_code: reason === undefined ? (ending.code ?? -1) : -1,
    };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}
