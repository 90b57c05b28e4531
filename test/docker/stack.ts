/**
 * compose/compose.yaml as an operator brings it up, on an engine of the test's own, with bases made here in place of
 * Wolf's and Moonlight Web's images.
 *
 *     test ──▶ control plane 172.19.0.20 ◀── agent of Wolf's container 172.19.0.50
 *                         ▲                         └── inner Docker Engine 172.20.0.0/16
 *                         └──────────────────────────────── sandboxes
 */
import { readFileSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { call, listRunners } from "../support/http.ts";
import type { HttpResponse, CallOptions, RunnerListing } from "../support/http.ts";
import { BASES, importBases } from "./bases.ts";
import { Engine } from "./engine.ts";
import type { Ran } from "./engine.ts";

const COMPOSE = fileURLToPath(new URL("../../compose/", import.meta.url));
export const UNPRIVILEGED: string = fileURLToPath(new URL("compose.test.yaml", import.meta.url));

const READY_TIMEOUT_MS = 120_000;
const CALL_TIMEOUT_MS = 30_000;
/** Between two polls of what has no event. */
const POLL_MS = 50;

export interface StackOptions {
  /** Further variables of compose/.env.example. */
  env?: Readonly<Record<string, string>>;
  /** Further compose files, on top. */
  files?: readonly string[];
}

export interface SessionView {
  id: string;
  [field: string]: unknown;
}

export interface WayView extends RunnerListing {
  /** Whether another agent has announced it, and not its own. */
  discovered: boolean;
}

export class Stack implements AsyncDisposable {
  readonly engine: Engine;
  /** Of the control plane's published port, in the test's own network. */
  readonly url: string;
  readonly adminToken: string;
  readonly #compose: readonly string[];
  readonly #env: Readonly<Record<string, string>>;

  private constructor(
    engine: Engine,
    url: string,
    adminToken: string,
    compose: readonly string[],
    env: Readonly<Record<string, string>>,
  ) {
    this.engine = engine;
    this.url = url;
    this.adminToken = adminToken;
    this.#compose = compose;
    this.#env = env;
  }

  /** Builds the images and resolves when Wolf's two runners are connected. A minute or two. */
  static async start(options: StackOptions = {}): Promise<Stack> {
    await using stack = new AsyncDisposableStack();
    const engine = stack.use(await Engine.start());
    await importBases(engine);
    const secrets = join(engine.folder, "secrets");
    const images = join(engine.folder, "images");
    await mkdir(images);
    const env = {
      ...BASES,
      SECRETS: secrets,
      IMAGES: images,
      COMPOSE_PROJECT_NAME: "turnabout",
      ...options.env,
    };
    await engine.command("sh", [join(COMPOSE, "make-secrets.sh"), secrets]);
    const files = [
      join(COMPOSE, "compose.yaml"),
      ...(hasEveryCapability() ? [] : [UNPRIVILEGED]),
      ...(options.files ?? []),
    ];
    const compose = files.flatMap((file) => ["-f", file]);
    const line = ["--profile", "images", ...compose, "build", "--quiet"];
    await engine.command("docker-compose", line, { env });
    await engine.command("docker", ["save", "-o", join(images, "sandbox.tar"), "turnabout-sandbox"]);
    const up = await engine.run("docker-compose", [...compose, "up", "-d", "--no-build"], { env });
    if (up.code !== 0) {
      const { stdout } = await engine.run("docker-compose", [...compose, "logs", "--no-color"], { env });
      throw new Error(`compose up: ${up.stderr}\n${stdout}`);
    }
    const port = await engine.publish("127.0.0.1", 8080);
    const adminToken = await readFile(join(secrets, "admin.token"), "utf8");
    const started = new Stack(engine, `http://127.0.0.1:${port}`, adminToken, compose, env);
    await started.whenConnected("wolf-local", "moonlight-local");
    await started.whenHealthy("wolf");
    stack.move();
    return started;
  }

  /** `docker-compose` with the stack's files. */
  compose(...args: string[]): Promise<string> {
    return this.engine.command("docker-compose", [...this.#compose, ...args], { env: this.#env });
  }

  /** The same containers, with further compose files on top. */
  withFiles(...files: string[]): Stack {
    const compose = [...this.#compose, ...files.flatMap((file) => ["-f", file])];
    return new Stack(this.engine, this.url, this.adminToken, compose, this.#env);
  }

  /** Name of a service's container. */
  container(service: "control-plane" | "wolf"): string {
    return `turnabout_${service}_1`;
  }

  /** A program in Wolf's container. */
  inWolf(...command: string[]): Promise<Ran> {
    return this.engine.run("docker", ["exec", this.container("wolf"), ...command]);
  }

  /** Resolves when each of them is connected by as many connections as an agent opens. */
  async whenConnected(...ids: string[]): Promise<void> {
    const isFull = ({ state, connections }: RunnerListing): boolean =>
      state === "connected" && connections.length > 1;
    await this.runnersUntil(
      (runners) => ids.every((id) => runners.some((it) => it.id === id && isFull(it))),
      `${ids.join(", ")} connected`,
    );
  }

  /** Resolves when the container's own health check says so. */
  async whenHealthy(service: "control-plane" | "wolf"): Promise<void> {
    const container = this.engine.docker.getContainer(this.container(service));
    await this.until(
      `${service} is healthy`,
      async () => (await container.inspect()).State.Health?.Status === "healthy",
    );
  }

  /** Polls, because the listing has no event of its own. */
  async runnersUntil(
    check: (runners: RunnerListing[]) => boolean,
    what: string,
    timeoutMs: number = READY_TIMEOUT_MS,
  ): Promise<RunnerListing[]> {
    let seen: RunnerListing[] = [];
    const ask = async (): Promise<RunnerListing[] | undefined> => {
      seen = await listRunners(this.url, { token: this.adminToken }).catch(() => []);
      return check(seen) ? seen : undefined;
    };
    return this.untilValue(what, ask, timeoutMs).catch((cause: unknown) => {
      throw new Error(`${what}: still ${JSON.stringify(seen)}`, { cause });
    });
  }

  /** A request to the public port; by the admin, unless another token is given. */
  call(path: string, options: CallOptions = {}): Promise<HttpResponse> {
    return call(`${this.url}${path}`, { token: this.adminToken, timeoutMs: CALL_TIMEOUT_MS, ...options });
  }

  /** A session on Wolf, whose lobby starts a sandbox on the inner engine. */
  async createSession(fields: Readonly<Record<string, unknown>> = {}): Promise<SessionView> {
    const { status, body } = await this.call("/api/v1/sessions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "e2e", ...fields }),
    });
    if (status !== 201) throw new Error(`session: ${status} ${body}`);
    return JSON.parse(body) as SessionView;
  }

  async deleteSession(id: string): Promise<void> {
    const { status, body } = await this.call(`/api/v1/sessions/${id}`, { method: "DELETE" });
    if (status >= 300) throw new Error(`deletion of ${id}: ${status} ${body}`);
  }

  /** Names of the containers that run on the inner engine. */
  async sandboxes(): Promise<string[]> {
    const { stdout } = await this.inWolf("docker", "ps", "--format", "{{.Names}}");
    return stdout.split("\n").filter(Boolean);
  }

  /** Polls, for what has no event. */
  async untilValue<T>(
    what: string,
    ask: () => Promise<T | undefined>,
    timeoutMs: number = READY_TIMEOUT_MS,
  ): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const value = await ask();
      if (value !== undefined) return value;
      if (performance.now() > deadline)
        throw new Error(`${what}: not within ${timeoutMs} ms\n${await this.logs()}`);
      await delay(POLL_MS);
    }
  }

  async until(what: string, check: () => Promise<boolean>, timeoutMs?: number): Promise<void> {
    await this.untilValue(what, async () => ((await check()) ? true : undefined), timeoutMs);
  }

  /** An image on the inner engine: the sandbox's, with further lines of a Dockerfile. */
  async deriveSandbox(image: string, ...lines: string[]): Promise<void> {
    const input = ["FROM turnabout-sandbox", ...lines, ""].join("\n");
    const line = ["exec", "-i", this.container("wolf"), "docker", "build", "-q", "-t", image, "-"];
    await this.engine.command("docker", line, { input });
  }

  /** The session's sandbox as the control plane lists it, once it is connected by one of the expected upstreams. */
  async wayTo(session: string, isWanted: (runner: WayView) => boolean): Promise<WayView> {
    return this.untilValue(`the way to ${session}`, async () => {
      const { status, body } = await this.call(`/api/v1/runners/sandbox-${session}`);
      if (status !== 200) return undefined;
      const runner = JSON.parse(body) as WayView;
      return runner.state === "connected" && isWanted(runner) ? runner : undefined;
    });
  }

  /** The containers' own logs. */
  async logs(...services: string[]): Promise<string> {
    return this.compose("logs", "--no-color", "--tail", "2000", ...services);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine[Symbol.asyncDispose]();
  }
}

/** Whether `privileged` works here: the engine cannot grant capabilities that it does not have itself. */
export function hasEveryCapability(): boolean {
  const CAP_SYS_RESOURCE = 24n;
  const [, bounding = "0"] = /^CapBnd:\s*(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return ((BigInt(`0x${bounding}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;
}
