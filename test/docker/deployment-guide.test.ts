/**
 * docs/deployment.md: its commands, executed as they stand, on a Docker Engine of the test's own; then the same system
 * behind the other terminators, and with TLS from end to end.
 */
import assert from "node:assert/strict";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import { fences, readDocument, ROOT } from "../docs/markdown.ts";
import { look } from "../e2e/pictures.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { missing } from "../support/parts.ts";
import { BASES, importBases } from "./bases.ts";
import { Engine, engineCannot } from "./engine.ts";
import type { Ran } from "./engine.ts";
import { TERMINATOR_IMAGES, TERMINATOR_PARTS, importTerminators } from "./terminator-images.ts";
import { hasEveryCapability, UNPRIVILEGED } from "./stack.ts";

/** `npm ci` and three image builds on a busy machine. */
const GUIDE_TIMEOUT_MS = 900_000;
const READY_TIMEOUT_MS = 120_000;
/** From nothing to a system that runs: fewer than so many commands. */
const COMMANDS = 10;

const API = "https://localhost/api/v1";

const skip = engineCannot() || missing("npm", ...TERMINATOR_PARTS.map(({ name }) => name));

const blocks = fences(readDocument("docs/deployment.md")).filter(({ info }) => info === "sh run");

describe("docs/deployment.md", { skip }, () => {
  let engine: Engine;
  let work: string;
  let env: Record<string, string>;

  before(async () => {
    engine = await Engine.start();
    await importBases(engine);
    await importTerminators(engine);
    work = join(engine.folder, "work");
    const bin = join(engine.folder, "bin");
    for (const folder of [work, bin]) await mkdir(folder);
    // Debian 12 has Compose as a command of its own.
    const shim = `#!/bin/sh\nif [ "$1" = compose ]; then shift; exec docker-compose "$@"; fi\nexec /usr/bin/docker "$@"\n`;
    await writeFile(join(bin, "docker"), shim);
    await chmod(join(bin, "docker"), 0o755);
    env = {
      PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin:${process.env["PATH"] ?? ""}`,
      HOME: engine.folder,
      TURNABOUT: ROOT,
      COMPOSE_PROJECT_NAME: "turnabout",
      ...BASES,
      ...TERMINATOR_IMAGES,
      // The engine's network leads nowhere, so what `npm ci` asks for comes from where it was put when this checkout was made.
      npm_config_cache: process.env["npm_config_cache"] ?? join(homedir(), ".npm"),
      npm_config_offline: "true",
      ...composeFiles("tls-nginx"),
    };
  });

  after(async () => {
    await engine[Symbol.asyncDispose]();
    await assertNothingOpen();
  });

  it("leads to a deployment in fewer than ten commands", async () => {
    const commands = (blocks[0]?.body ?? "").split(/\n|&&|[|;]/).filter((text) => text.trim() !== "");
    assert.ok(commands.length > 3 && commands.length < COMMANDS, `${commands.length} commands`);
    assert.match(commands.at(-1) ?? "", /docker compose up -d/);
    const script = blocks
      .map(({ body, line }) => `echo "docs/deployment.md:${line}" >&2\n${body}`)
      .join("\n");
    const { code, stdout, stderr } = await inEngine("bash", "-eu", "-o", "pipefail", "-c", script);
    assert.equal(code, 0, `${stdout.slice(-4_000)}\n${stderr.slice(-8_000)}`);
    const folder = join(work, "turnabout/compose");
    assert.match(
      await readFile(join(folder, ".env"), "utf8"),
      /^COMPOSE_FILE=compose\.yaml:tls-nginx\/compose\.yaml$/m,
    );
    const { width, height } = await look(await readFile(join(folder, "screen.png")));
    assert.deepEqual({ width, height }, { width: 1_280, height: 720 });
    assert.match(stdout, /from inside/);
    assert.match(stdout, /sandbox-ses_/, "Wolf's engine has listed the sandbox");
    assert.match(await readFile(join(folder, "backup.db"), "latin1"), /^SQLite format 3/);
  });

  for (const variant of ["tls-nginx", "tls-haproxy", "tls-caddy"] as const) {
    it(`${variant}: Wolf's agent connects through it, and callers are served`, async () => {
      if (variant === "tls-caddy") await forOlderCaddy();
      await compose(variant, "up", "-d", "--no-build");
      const runner = await untilConnected((it) => it.carrier === "ptth");
      assert.equal(runner.connections[0]?.peer, "172.19.0.50", "the agent's address, not the front's");
      for (const version of ["--http1.1", "--http2"])
        assert.equal((await curl(version, "https://localhost/healthz")).trim(), "ok");
      const apps = await curl("-H", await admin(), `${API}/runners/wolf-local/targets/wolf/api/v1/apps`);
      assert.match(apps, /Wolf UI/);
    });
  }

  it("mtls: the agent connects by its certificate, a renewal drops nothing, and a revocation takes effect", async () => {
    const checkout = join(work, "turnabout");
    await succeed("chown", "-R", "1000:1000", join(checkout, "certs/dev/server"));
    await compose("mtls", "up", "-d", "--no-build", "--remove-orphans");
    const before = await untilConnected((it) => it.carrier === "rh2");
    const apps = `${API}/runners/wolf-local/targets/wolf/api/v1/apps`;
    const shown =
      "openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout -serial";
    const served = async (): Promise<string> => (await succeed("bash", "-c", shown)).stdout;
    const old = await served();

    let renewing = true;
    let responses = 0;
    const load = (async () => {
      for (; renewing; responses += 1) assert.match(await curlOnce("-H", await admin(), apps), /Wolf UI/);
    })();
    await certs("renew", "--all");
    await until("the control plane's new certificate is in use", async () => (await served()) !== old);
    const ids = new Set(before.connections.map(({ id }) => id));
    await untilConnected(({ connections }) => connections.every(({ id }) => !ids.has(id)));
    renewing = false;
    await load; // not one of its requests has failed
    assert.ok(responses > 0);

    await certs("revoke", "agents/wolf-local");
    await until("its connections are closed", async () => (await wolfLocal())?.state !== "connected");
    const refused = await engine.run("docker-compose", ["logs", "--no-color", "wolf"], composeAt("mtls"));
    assert.match(refused.stdout, /revoked/);
  });

  /** Where the engine cannot give every capability, a file more than the document names. */
  function composeFiles(variant: string): Record<string, string> {
    const files = ["compose.yaml", `${variant}/compose.yaml`];
    return { COMPOSE_FILE: [...files, ...(hasEveryCapability() ? [] : [UNPRIVILEGED])].join(":") };
  }

  function inEngine(program: string, ...args: string[]): Promise<Ran> {
    return engine.run(program, args, { cwd: work, env, timeoutMs: GUIDE_TIMEOUT_MS });
  }

  async function succeed(program: string, ...args: string[]): Promise<Ran> {
    const ran = await inEngine(program, ...args);
    assert.equal(ran.code, 0, `${program} ${args.join(" ")}: ${ran.stdout}${ran.stderr}`);
    return ran;
  }

  /** Debian's is older than the option with which tunnels outlive a reload. */
  async function forOlderCaddy(): Promise<void> {
    const file = join(work, "turnabout/compose/tls-caddy/Caddyfile");
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace(/^\s*stream_close_delay .*\n/m, ""));
  }

  function composeAt(variant: string): { cwd: string; env: Record<string, string> } {
    return { cwd: join(work, "turnabout/compose"), env: { ...env, ...composeFiles(variant) } };
  }

  async function compose(variant: string, ...args: string[]): Promise<void> {
    await engine.command("docker-compose", args, composeAt(variant));
  }

  async function certs(...args: string[]): Promise<void> {
    await engine.command("npm", ["run", "-s", "certs", "--", ...args], { cwd: join(work, "turnabout"), env });
  }

  async function curlOnce(...args: string[]): Promise<string> {
    const ca = join(work, "turnabout/certs/dev/server/ca.crt");
    return (await succeed("curl", "-fsS", "--cacert", ca, ...args)).stdout;
  }

  function curl(...args: string[]): Promise<string> {
    return curlOnce("--retry", "30", "--retry-all-errors", "--retry-delay", "1", ...args);
  }

  async function admin(): Promise<string> {
    const token = await readFile(join(work, "turnabout/compose/secrets/admin.token"), "utf8");
    return `Authorization: Bearer ${token}`;
  }

  async function wolfLocal(): Promise<Runner | undefined> {
    const text = await curl("-H", await admin(), `${API}/runners`);
    return Runners.parse(JSON.parse(text)).runners.find(({ id }) => id === "wolf-local");
  }

  async function untilConnected(check: (runner: Runner) => boolean): Promise<Runner> {
    let last: Runner | undefined;
    await until("wolf-local is connected as it should be", async () => {
      last = await wolfLocal();
      return last?.state === "connected" && last.connections.length === 2 && check(last);
    });
    return last ?? assert.fail();
  }

  /** Polls, because neither a listing nor a handshake has an event. */
  async function until(what: string, check: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + READY_TIMEOUT_MS;
    while (!(await check())) {
      if (performance.now() > deadline)
        assert.fail(`${what}: not within ${READY_TIMEOUT_MS} ms\n${await logs()}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async function logs(): Promise<string> {
    const line = ["logs", "--no-color", "--tail", "40"];
    return (await engine.run("docker-compose", line, composeAt("mtls"))).stdout;
  }
});

const Runners = z.object({
  runners: z.array(
    z.object({
      id: z.string(),
      state: z.string(),
      carrier: z.string().nullable(),
      connections: z.array(z.looseObject({ id: z.string(), peer: z.string().nullable() })),
    }),
  ),
});
type Runner = z.infer<typeof Runners>["runners"][number];
