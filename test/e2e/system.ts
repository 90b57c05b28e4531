/**
 * The whole system as an operator starts it: the control plane, Wolf's side and its agent, each a process of its own.
 *
 *     test, browser ──▶ turnabout serve ◀── turnabout agent ──▶ doubles of Wolf and Moonlight Web
 *                              ▲──────────── revdial-client ───▶ a sandbox's server: its Sway
 */
import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MoonlightDialect } from "../../src/demo/moonlight/double.ts";
import { Command } from "../support/commands.ts";
import { runnersUntil } from "../support/http.ts";
import { issueToken } from "../support/api.ts";
import { ADMIN_TOKEN } from "../support/system.ts";
import { WolfHost } from "./host/host.ts";

export const INSTANCE = "e2e";
export const WOLF: string = `wolf-${INSTANCE}`;
export const MOONLIGHT: string = `moonlight-${INSTANCE}`;

/** Between the control plane and Moonlight Web; no one else may see it. */
export const CREDENTIALS = "moonlight-secret-8d1f0c";
export const MOONLIGHT_USER_FIELD = "X-Forwarded-User";
/** Upstream's are a token of 64 hexadecimal digits. */
export const UPSTREAM_CREDENTIALS: string = "8d1f0c5a".repeat(8);

/** However the test ends, by SIGKILL for example: its processes end with it. */
const GUARD: readonly string[] = ["setpriv", "--pdeathsig", "KILL"];

export interface E2eOptions {
  /** Where the control plane listens, as its agents and callers see it. Default 127.0.0.1. */
  host?: string;
  /** Of the control plane. Default: a free one. */
  port?: number;
  allowedOrigins?: readonly string[];
  /** Put in front of the command lines of Wolf's side. */
  through?: readonly string[];
  moonlightPort?: number;
  /** Of Moonlight Web. Default: Helix's fork. */
  dialect?: MoonlightDialect;
  sandboxNetwork?: string;
}

export interface E2eSystem extends AsyncDisposable {
  readonly url: string;
  readonly serve: Command;
  readonly host: WolfHost;
  readonly agent: Command;
  /** Temporary folder of all processes: files in it at the end were left behind. */
  readonly scratch: string;
  readonly users: { alice: string; bob: string };
  /** What is left in the temporary folder, besides the operator's own files. */
  leftovers(): Promise<string[]>;
}

export async function startE2e(options: E2eOptions = {}): Promise<E2eSystem> {
  const { host: address = "127.0.0.1", through = [], dialect = "fork" } = options;
  const credentials = dialect === "fork" ? CREDENTIALS : UPSTREAM_CREDENTIALS;
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "turnabout-e2e-"));
  stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const scratch = join(folder, "tmp");
  await mkdir(scratch);
  // Sandboxes are an ordinary user's.
  await chmod(folder, 0o711);
  await chmod(scratch, 0o1777);
  const env = { TMPDIR: scratch };

  const port = options.port ?? (await freePort(address));
  const url = `http://${address}:${port}`;
  const credentialsFile = join(folder, "moonlight-credentials");
  await writeFile(credentialsFile, `${credentials}\n`, { mode: 0o600 });
  const serve = stack.use(
    new Command(
      "turnabout",
      [
        ["serve", "--host", address, "--port", String(port), "--drain", "5"],
        ["--data-dir", join(folder, "data"), "--agent-url", url],
        ["--moonlight-credentials-file", credentialsFile],
        // Its users are those of the control plane.
        ...(dialect === "fork" ? [] : [["--moonlight-user-header", MOONLIGHT_USER_FIELD]]),
        ...(options.allowedOrigins ?? []).map((origin) => ["--allowed-origin", origin]),
      ].flat(),
      { env: { ...env, TURNABOUT_ADMIN_TOKEN: ADMIN_TOKEN }, through: GUARD },
    ),
  );
  await serve.logged("control plane listens");

  const wolfSocket = join(folder, "wolf.sock");
  const host = stack.use(
    await WolfHost.start({
      wolfSocket,
      moonlightPort: options.moonlightPort ?? 0,
      credentials,
      dialect,
      usernameField: MOONLIGHT_USER_FIELD,
      sandboxNetwork: options.sandboxNetwork,
      through,
      env,
    }),
  );
  const { moonlight } = await host.view();

  const tokenFile = join(folder, "host.token");
  const token = await issueToken(url, { id: "e2e-host", kind: "runner", runners: [WOLF, MOONLIGHT] });
  await writeFile(tokenFile, token, { mode: 0o600 });
  const agent = stack.use(
    new Command(
      "turnabout",
      [
        ["agent", "--server", url, "--token-file", tokenFile],
        ["--runner", WOLF, "--target", `wolf=unix:${wolfSocket}`],
        ["--runner", MOONLIGHT, "--target", `moonlight=127.0.0.1:${moonlight.port}`],
      ].flat(),
      { env, through: [...through, ...GUARD] },
    ),
  );
  await runnersUntil(
    url,
    (runners) => [WOLF, MOONLIGHT].every((id) => runners.some((it) => it.id === id && isFull(it))),
    "the agent of Wolf's side is connected",
  );
  const users = {
    alice: await issueToken(url, { id: "alice", kind: "user" }),
    bob: await issueToken(url, { id: "bob", kind: "user" }),
  };
  const own = new Set(["data", "host.token", "moonlight-credentials", "tmp", "wolf.sock"]);
  const started = stack.move();
  return {
    url,
    serve,
    host,
    agent,
    scratch,
    users,
    leftovers: async () => [
      ...(await readdir(scratch)),
      ...(await readdir(folder)).filter((name) => !own.has(name)),
    ],
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

function isFull({ state, connections }: { state: string; connections: unknown[] }): boolean {
  return state === "connected" && connections.length === 2;
}

/** Free a moment ago: sandboxes get the address before anything listens there. */
async function freePort(address: string): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** One part of a scenario: printed when it is done, and named when it fails. */
export async function phase(
  t: { diagnostic(message: string): void },
  name: string,
  work: () => Promise<void>,
): Promise<void> {
  const startedAt = performance.now();
  try {
    await work();
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new assert.AssertionError({
      message: `${name}: ${text}`,
      ...(cause instanceof Object && { cause }),
    });
  }
  t.diagnostic(`${name}: ${Math.round(performance.now() - startedAt)} ms`);
}
