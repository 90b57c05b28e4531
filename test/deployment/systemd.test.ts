/** compose/systemd: what systemd says of the units, and what they would run, run. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import net from "node:net";
import { basename, join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { LISTEN_BACKLOG } from "../../src/control/limits.ts";
import { Command, run } from "../support/commands.ts";
import type { CommandOptions } from "../support/commands.ts";
import { call, runnersUntil, targetUrl } from "../support/http.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { missing, partPath } from "../support/parts.ts";
import { gone, listener } from "../support/processes.ts";
import { ServiceManager } from "../support/service-manager.ts";
import { ADMIN_TOKEN } from "../support/system.ts";
import { startHttpTarget } from "../support/target.ts";
import { tempPath } from "../support/temp.ts";
import { commandLine, readUnit } from "./systemd-unit.ts";
import type { Unit } from "./systemd-unit.ts";

afterEach(() => assertNothingOpen());

const CONTROL_PLANE = readUnit("turnabout-control-plane.service");
const SOCKET = readUnit("turnabout-control-plane.socket");
const AGENT = readUnit("turnabout-agent@.service");
const UNITS = [
  { unit: CONTROL_PLANE, file: "turnabout-control-plane.service", name: "turnabout-control-plane.service" },
  { unit: AGENT, file: "turnabout-agent@.service", name: "turnabout-agent@host-1.service" },
] as const;

/**
 * Of `systemd-analyze security`, ten times the figure that it prints. The agent's is 1.1: the network, and V8's pages. The
 * control plane's is 1.3: its child `systemd-notify` may report to the manager as well.
 */
const EXPOSURE_THRESHOLDS = { "turnabout-control-plane.service": "13", "turnabout-agent@.service": "12" };

const skip = missing("systemd-analyze");

for (const { unit, file, name } of UNITS) {
  describe(file, () => {
    it("is understood by systemd to the last setting", { skip }, () => {
      assert.deepEqual(verify(file, name, unit.text), { status: 0, output: "" });
    });

    it("would not pass with a misspelt setting", { skip }, () => {
      const misspelt = unit.text.replace("ProtectSystem=strict", "ProtectSystm=strict");
      assert.match(verify(file, name, misspelt).output, /Unknown key 'ProtectSystm'/);
    });

    it("is as hardened as a service with sockets can be", { skip }, () => {
      const { status, output } = security(file, unit.text);
      assert.equal(status, 0, output);
    });

    it("would not pass with less", { skip }, () => {
      for (const less of ["DynamicUser=yes", "RestrictNamespaces=yes", "SystemCallFilter=@system-service"]) {
        const { status, output } = security(file, unit.text.replace(less, ""));
        assert.notEqual(status, 0, `${less}\n${output}`);
      }
    });

    it("allows time for the drain, and restarts without limit", () => {
      const [, drainS = ""] = /--drain=(\d+)/.exec(unit.value("ExecStart")) ?? [];
      assert.ok(Number(unit.value("TimeoutStopSec")) > Number(drainS));
      assert.equal(unit.value("Restart"), "always");
      assert.equal(unit.value("StartLimitIntervalSec"), "0");
    });

    it("passes secrets as credentials, never as variables or arguments", () => {
      assert.ok(unit.all("LoadCredential").length > 0);
      assert.deepEqual(unit.all("Environment"), []);
      assert.match(unit.value("ExecStart"), /=\$\{CREDENTIALS_DIRECTORY\}\//);
    });
  });
}

describe("turnabout-control-plane.socket", () => {
  it("is understood by systemd to the last setting", { skip }, () => {
    const name = "turnabout-control-plane.socket";
    assert.deepEqual(verify(name, name, SOCKET.text), { status: 0, output: "" });
    const misspelt = SOCKET.text.replace("ListenStream=", "ListnStream=");
    assert.match(verify(name, name, misspelt).output, /Unknown key 'ListnStream'/);
  });

  it("is the service's only port, and has as long a queue as the control plane", () => {
    assert.equal(SOCKET.all("ListenStream").length, 1, "more than one is refused");
    assert.equal(Number(SOCKET.value("Backlog")), LISTEN_BACKLOG);
    assert.doesNotMatch(CONTROL_PLANE.value("ExecStart"), /--port|--host/);
    for (const setting of ["Requires", "Also"])
      assert.equal(CONTROL_PLANE.value(setting), "turnabout-control-plane.socket");
  });

  it("and the service let `systemd-notify` report a new main process", () => {
    assert.equal(CONTROL_PLANE.value("Type"), "notify");
    assert.equal(CONTROL_PLANE.value("NotifyAccess"), "all");
  });
});

describe("compose/systemd", () => {
  it("upgrades in place on the socket that systemd holds", async () => {
    const place = await makePlace();
    using held = new net.BoundSocket({ host: "127.0.0.1" });
    const through = ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh"];
    await using serve = start(
      CONTROL_PLANE,
      { ...place, TURNABOUT_ARGS: "" },
      { through, descriptors: [held.fd()] },
    );
    assert.equal((await serve.logged("control plane listens"))["port"], held.address().port);
    const [program = "", ...reload] = commandLine(CONTROL_PLANE, place, "ExecReload");
    assert.equal(program, "/usr/local/bin/turnabout");
    const { code, stdout } = await run("turnabout", reload);
    await using successor = await listener(serve, 2);
    assert.deepEqual([code, stdout], [0, String(successor.pid)]);
    assert.notEqual(successor.pid, serve.pid, "systemd's main process stays the same");
    assert.equal((await serve.end()).code, 0);
    await gone(successor.pid);
  });

  it("runs the command that it names", async () => {
    const place = await makePlace();
    await using target = await startHttpTarget((_request, response) => response.end("web"));
    await using serve = start(CONTROL_PLANE, place);
    const { port } = await serve.logged("control plane listens");
    const url = `http://127.0.0.1:${Number(port)}`;
    await using agent = start(AGENT, {
      ...place,
      TURNABOUT_SERVER: url,
      TURNABOUT_ARGS: `--runner=host-1 --target=web=${target.address}`,
    });
    await runnersUntil(url, (list) => list.some(({ state }) => state === "connected"), "host-1");
    assert.equal((await call(targetUrl(url, "host-1", "web"))).body, "web");
    for (const command of [agent, serve]) assert.equal((await command.end()).code, 0);
  });

  it(
    "allows every system call that is made",
    { skip: missing("systemd-analyze", "strace", "python3") },
    async () => {
      const place = await makePlace();
      const traces = { serve: tempPath(".trace"), agent: tempPath(".trace") };
      const through = (file: string) => ({ through: [partPath("strace"), "-f", "-qq", "-o", file] });
      {
        await using manager = await ServiceManager.start();
        await using target = await startHttpTarget((_request, response) => response.end("web"));
        const reporting = { ...through(traces.serve), env: { NOTIFY_SOCKET: manager.path } };
        await using serve = start(CONTROL_PLANE, place, reporting);
        const { port } = await serve.logged("control plane listens");
        const url = `http://127.0.0.1:${Number(port)}`;
        await using agent = start(
          AGENT,
          {
            ...place,
            TURNABOUT_SERVER: url,
            TURNABOUT_ARGS: `--runner=host-1 --target=web=${target.address}`,
          },
          through(traces.agent),
        );
        await runnersUntil(url, (list) => list.some(({ state }) => state === "connected"), "host-1", 30_000);
        assert.equal((await call(targetUrl(url, "host-1", "web"))).body, "web");
        const issued = { method: "POST", body: '{"id":"bob","kind":"user"}' };
        const headers = { "content-type": "application/json" };
        assert.equal((await call(`${url}/api/v1/tokens`, { ...issued, headers })).status, 201); // SQLite writes
        for (const command of [agent, serve]) await endTraced(command);
        assert.deepEqual(manager.received, ["READY=1", "STOPPING=1"]);
      }
      for (const [name, unit] of [
        ["serve", CONTROL_PLANE],
        ["agent", AGENT],
      ] as const) {
        const allowed = allowedCalls(unit);
        const made = tracedCalls(traces[name]);
        assert.ok(made.has("epoll_ctl"), "the trace is one of a server");
        assert.ok(!allowed.has("mount") && !allowed.has("chown"), "the filter filters");
        const refused = [...made].filter((call) => !allowed.has(call));
        // SQLite gives its files to the directory's owner if it is root, which the unit's user is not.
        assert.deepEqual(
          refused.filter((call) => call !== "fchown"),
          [],
          name,
        );
      }
    },
  );
});

/** `systemd-analyze verify` where our command is installed and nothing else is. */
function verify(file: string, name: string, text: string): { status: number | null; output: string } {
  return analyze(file, text, (root) => ["verify", "--man=no", `--root=${root}`, name]);
}

function security(
  file: keyof typeof EXPOSURE_THRESHOLDS,
  text: string,
): { status: number | null; output: string } {
  const threshold = `--threshold=${EXPOSURE_THRESHOLDS[file]}`;
  return analyze(file, text, (root) => [
    "security",
    "--no-pager",
    "--offline=true",
    threshold,
    `--root=${root}`,
    file,
  ]);
}

function analyze(
  file: string,
  text: string,
  args: (root: string) => string[],
): { status: number | null; output: string } {
  const root = tempPath("");
  const units = join(root, "etc/systemd/system");
  for (const folder of [units, join(root, "usr/local/bin")]) mkdirSync(folder, { recursive: true });
  // The service and its socket name each other.
  for (const unit of [CONTROL_PLANE, SOCKET]) cpSync(unit.path, join(units, basename(unit.path)));
  writeFileSync(join(units, file), text);
  for (const target of ["sysinit", "basic", "shutdown", "network-online", "multi-user"])
    writeFileSync(join(units, `${target}.target`), "[Unit]\nDefaultDependencies=no\n");
  cpSync("/bin/true", join(root, "usr/local/bin/turnabout"));
  const { status, stdout, stderr, error } = spawnSync(partPath("systemd-analyze"), args(root), {
    encoding: "utf8",
  });
  if (error !== undefined) throw error;
  return { status, output: (stdout + stderr).trim() };
}

/** The folders and files that a unit has, here. */
async function makePlace(): Promise<Record<string, string> & { tokens: string }> {
  const folder = tempPath("");
  mkdirSync(folder);
  const made = await run("turnabout", ["token", "--id", "host-1", "--kind", "runner", "--runner", "host-1"]);
  const [token = "", entry = ""] = made.stdout.split("\n");
  writeFileSync(join(folder, "token"), token);
  writeFileSync(join(folder, "moonlight-credentials"), "secret");
  writeFileSync(join(folder, "tokens.json"), `{ "tokens": [${entry}] }`);
  return {
    STATE_DIRECTORY: join(folder, "state"),
    CREDENTIALS_DIRECTORY: folder,
    TURNABOUT_ARGS: "--host=127.0.0.1 --port=0",
    tokens: join(folder, "tokens.json"),
  };
}

/** The unit's command with this checkout's program; `/etc/turnabout` is the place's. */
function start(
  unit: Unit,
  place: Record<string, string> & { tokens: string },
  options: CommandOptions = {},
): Command {
  const [program = "", ...args] = commandLine(unit, place);
  assert.equal(program, "/usr/local/bin/turnabout");
  const here = args.map((arg) => arg.replace("/etc/turnabout/tokens.json", place.tokens));
  const env = { TURNABOUT_ADMIN_TOKEN: ADMIN_TOKEN, ...options.env };
  return new Command("turnabout", here, { ...options, env });
}

/** strace keeps SIGTERM to itself: its child gets the signal. */
async function endTraced(command: Command): Promise<void> {
  const children = readFileSync(`/proc/${command.pid}/task/${command.pid}/children`, "utf8").trim();
  process.kill(Number(children.split(" ")[0]), "SIGTERM");
  assert.equal((await command.exited).code, 0);
}

/** What `SystemCallFilter=` leaves: lists are added, `~` takes them away. */
function allowedCalls(unit: Unit): Set<string> {
  const allowed = new Set<string>();
  for (const list of unit.all("SystemCallFilter")) {
    const removes = list.startsWith("~");
    for (const name of list.replace("~", "").split(" "))
      for (const call of expand(name)) allowed[removes ? "delete" : "add"](call);
  }
  return allowed;
}

function expand(set: string): string[] {
  const { status, stdout } = spawnSync(partPath("systemd-analyze"), ["syscall-filter", set], {
    encoding: "utf8",
  });
  assert.equal(status, 0);
  return stdout
    .split("\n")
    .slice(1)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .flatMap((line) => (line.startsWith("@") ? expand(line) : [line]));
}

function tracedCalls(file: string): Set<string> {
  const calls = readFileSync(file, "utf8").matchAll(/^\d+ +(?:<\.\.\. )?([a-z_0-9]+)\(/gm);
  return new Set([...calls].map(([, call = ""]) => call));
}
