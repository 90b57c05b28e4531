import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { assertEchoes } from "../../support/agents.ts";
import { Command, run } from "../../support/commands.ts";
import type { CommandName } from "../../support/commands.ts";
import { listRunners } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import { startEchoTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

interface Case {
  what: string;
  command: CommandName;
  on?: "unix";
  /** SERVER and LOCAL stand for the control plane's origin and the target's address. */
  args: string[];
  env?: Record<string, string>;
  runner: string;
  target: string;
}

const CASES: Case[] = [
  {
    what: "revdial-client with single dashes",
    command: "revdial-client",
    args: ["-server", "SERVER", "-runner-id", "sandbox-x", "-token", ADMIN_TOKEN, "-local", "LOCAL"],
    runner: "sandbox-x",
    target: "screenshot",
  },
  {
    what: "revdial-client with double dashes, the long names and a Unix socket",
    command: "revdial-client",
    on: "unix",
    args: ["--server-url", "SERVER/revdial", "--runner-id", "wolf-us-1"].concat([
      "--runner-token",
      ADMIN_TOKEN,
      "--local-addr",
      "LOCAL",
    ]),
    runner: "wolf-us-1",
    target: "wolf",
  },
  {
    what: "revdial-client with -flag=value and -insecure=false",
    command: "revdial-client",
    args: ["-server=SERVER/api/v1/revdial", "-runner-id=moonlight-1", `-token=${ADMIN_TOKEN}`].concat([
      "-local=LOCAL",
      "-insecure=false",
    ]),
    runner: "moonlight-1",
    target: "moonlight",
  },
  {
    what: "revdial-client with a runner of another kind",
    command: "revdial-client",
    args: [
      "-server",
      "SERVER",
      "-runner-id",
      "hydra-7",
      "-token",
      ADMIN_TOKEN,
      "-local",
      "LOCAL",
      "-insecure",
    ],
    runner: "hydra-7",
    target: "default",
  },
  {
    what: "wolf-revdial-client with its flags",
    command: "wolf-revdial-client",
    args: [
      "-api-url",
      "SERVER",
      "-wolf-id",
      "us-1",
      "-token",
      ADMIN_TOKEN,
      "-local",
      "LOCAL",
      "-reconnect",
      "5",
    ],
    runner: "wolf-us-1",
    target: "wolf",
  },
  {
    what: "wolf-revdial-client with its variables, and an id that has its prefix already",
    command: "wolf-revdial-client",
    args: ["-local", "LOCAL"],
    env: { HELIX_API_URL: "SERVER", WOLF_ID: "wolf-us-1", RUNNER_TOKEN: ADMIN_TOKEN },
    runner: "wolf-us-1",
    target: "wolf",
  },
  {
    what: "wolf-revdial-client whose flag is stronger than its variable",
    command: "wolf-revdial-client",
    args: ["-wolf-id", "flag", "-local", "LOCAL"],
    env: { HELIX_API_URL: "SERVER", WOLF_ID: "variable", RUNNER_TOKEN: ADMIN_TOKEN },
    runner: "wolf-flag",
    target: "wolf",
  },
];

describe("Helix's commands", () => {
  for (const { what, command, on, args, env, runner, target } of CASES) {
    it(`serve a target as ${runner}: ${what}`, async () => {
      await using echo = await startEchoTarget(on === undefined ? {} : { on });
      await using system = await startSystem({ agents: 0 });
      const fill = (text: string): string =>
        text
          .replace("SERVER", system.url)
          .replace("LOCAL", echo.address.replace("127.0.0.1", "localhost").replace("unix:/", "unix:///"));
      const filled = Object.entries(env ?? {}).map(([name, value]) => [name, fill(value)] as const);
      await using agent = new Command(command, args.map(fill), { env: Object.fromEntries(filled) });
      await agent.logged("connected");
      await assertEchoes(system.controlPlane.dial, runner, target);
      const [listed] = await listRunners(system.url);
      assert.deepEqual([listed?.id, listed?.targets.map(({ name }) => name)], [runner, [target]]);
      assert.deepEqual(await agent.end("SIGTERM"), { code: 0, signal: null });
    });
  }

  it("report what is missing with a hint, and exit with 2", async () => {
    const cases: [CommandName, string[], RegExp][] = [
      [
        "revdial-client",
        ["-insecure=maybe"],
        /^error: -insecure=maybe: not a boolean\nhint: use -insecure, /,
      ],
      ["revdial-client", [], /^error: no control plane given\nhint: give -server URL/],
      ["revdial-client", ["-server", "http://x"], /^error: no runner id given\nhint: /],
      ["revdial-client", ["-server", "http://x", "-runner-id", "r"], /^error: no token given\nhint: /],
      [
        "revdial-client",
        ["-no-such-flag"],
        /^error: unknown option --no-such-flag\nhint: run `revdial-client --help`/,
      ],
      [
        "wolf-revdial-client",
        [],
        /^error: no control plane given\nhint: give -api-url URL or set HELIX_API_URL/,
      ],
      ["wolf-revdial-client", ["-api-url", "http://x"], /^error: no Wolf id given\nhint: .*WOLF_ID/],
      [
        "wolf-revdial-client",
        ["-api-url", "http://x", "-wolf-id", "w"],
        /^error: no token given\nhint: .*RUNNER_TOKEN/,
      ],
      [
        "wolf-revdial-client",
        ["-reconnect", "soon"].concat(["-api-url", "http://x", "-wolf-id", "w", "-token", "t"]),
        /^error: -reconnect soon: not a number of seconds\nhint: /,
      ],
    ];
    for (const [command, args, says] of cases) {
      const { code, stderr } = await run(command, args);
      assert.match(stderr, says);
      assert.equal(code, 2, stderr);
    }
  });

  it("refuse a runner id or an address that is not valid, with a hint", async () => {
    const args = ["-server", "http://x", "-token", "t", "-runner-id"];
    const upper = await run("revdial-client", [...args, "Sandbox-X"]);
    assert.match(upper.stderr, /^error: runner id "Sandbox-X": use 1 to 128 characters.*\nhint: /);
    assert.notEqual(upper.code, 0);
    const address = await run("revdial-client", [...args, "sandbox-x", "-local", "9876"]);
    assert.match(address.stderr, /^error: target address "9876": use unix:\/path or host:port\nhint: /);
    assert.notEqual(address.code, 0);
  });

  it("print their help", async () => {
    for (const command of ["revdial-client", "wolf-revdial-client"] as const) {
      for (const flag of ["-h", "-help", "--help"]) {
        const { code, stdout } = await run(command, [flag]);
        assert.deepEqual([code, stdout.startsWith(`usage: ${command} `)], [0, true]);
      }
    }
  });
});
