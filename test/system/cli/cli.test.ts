import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { after, afterEach, describe, it } from "node:test";
import { file } from "../../support/agents.ts";
import { CommandHost } from "../../support/command-host.ts";
import { run as runProcess, startServe } from "../../support/commands.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { tempPath } from "../../support/temp.ts";

afterEach(() => assertNothingOpen());

const host = new CommandHost(new URL("../../../src/cli/main.ts", import.meta.url));
after(() => host[Symbol.asyncDispose]());

const run = (args: readonly string[], env?: Record<string, string>) => host.run(args, env);

const manifest = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

describe("turnabout", () => {
  it("lists its commands with --help, -h, help and without arguments", async () => {
    const { code, stdout } = await run(["--help"]);
    assert.equal(code, 0);
    for (const name of ["serve", "agent", "token", "demo"])
      assert.match(stdout, new RegExp(`^  ${name} `, "m"));
    for (const args of [["-h"], ["help"], []]) assert.equal((await run(args)).stdout, stdout);
  });

  it("prints its version", async () => {
    const { code, stdout } = await runProcess("turnabout", ["--version"]);
    assert.deepEqual([code, stdout], [0, `turnabout ${manifest.version}`]);
  });

  it("explains each command, and every option that the command knows", async () => {
    for (const name of ["serve", "agent"]) {
      const { code, stdout } = await run([name, "--help"]);
      assert.deepEqual([code, stdout.startsWith(`usage: turnabout ${name} `)], [0, true], stdout);
    }
    for (const name of ["token", "demo"]) {
      const { code, stdout } = await run([name, "--help"]);
      assert.equal(code, 0);
      assert.ok(stdout.startsWith(`usage: turnabout ${name} `), stdout);
      const source = readFileSync(new URL(`../../../src/cli/commands/${name}.ts`, import.meta.url), "utf8");
      const options = [...source.matchAll(/^ {8}"?([a-z-]+)"?: \{ type:/gm)].map(([, option]) => option);
      assert.ok(options.length >= 4);
      for (const option of options) assert.match(stdout, new RegExp(`--${option}\\b`), `${name} --${option}`);
    }
  });

  const misuse: [string[], RegExp][] = [
    [["fly"], /^error: unknown command "fly"\nhint: use serve, upgrade, agent, check, token, .*, demo$/],
    [["constructor"], /^error: unknown command "constructor"\nhint: /],
    [
      ["serve", "--porty", "1"],
      /^error: unknown option --porty\nhint: did you mean --port\? run `turnabout serve --help`/,
    ],
    [["serve", "extra"], /^error: unexpected argument "extra"\nhint: put patterns with \* in quotes/],
    [
      ["serve"],
      /^error: no tokens given: every request would be refused\nhint: set TURNABOUT_ADMIN_TOKEN, or give --token-file/,
    ],
    [["agent"], /^error: no control plane given\nhint: give --server URL/],
    [["agent", "--server", "http://x"], /^error: no runner given\nhint: /],
    [["agent", "--server", "http://x", "--runner", "r"], /^error: runner r has no target\nhint: /],
    [
      ["agent", "--server", "http://x", "--target", "a=b:1"],
      /^error: --target a=b:1: no runner precedes it\nhint: /,
    ],
    [
      ["agent", "--server", "http://x", "--runner", "r", "--target", "a=b:1"],
      /^error: no token given\nhint: give --token-file FILE, set TURNABOUT_TOKEN/,
    ],
    [
      [
        "agent",
        "--server",
        "http://x",
        "--runner",
        "r",
        "--target",
        "a=b:1",
        "--token-file",
        "f",
        "--carrier",
        "pigeon",
      ],
      /^error: --carrier pigeon: unknown carrier\nhint: use one of auto, rh2, ptth, websocket/,
    ],
    [
      ["agent", "--server", "http://x", "--log-level", "loud"],
      /^error: --log-level loud: unknown level\nhint: use one of debug/,
    ],
    [["token", "--kind", "runner", "--runner", "x"], /^error: no valid id given\nhint: /],
    [["token", "--id", "admin", "--kind", "admin"], /^error: no valid id given\nhint: /],
    [
      ["token", "--id", "a", "--kind", "king"],
      /^error: no kind given\nhint: give --kind runner, user or admin/,
    ],
    [["demo", "--port", "99999"], /^error: --port 99999: not a port\nhint: use 0 to 65535/],
  ];
  it("reports wrong usage with a hint, and exits with 2", async () => {
    for (const [args, says] of misuse) {
      const { code, stdout, stderr } = await run(args);
      assert.match(stderr, says);
      assert.deepEqual([code, stdout], [2, ""], args.join(" "));
    }
  });

  it("reports a wrong file or port without a stack trace, and exits with 1 or 2", async () => {
    const env = { TURNABOUT_ADMIN_TOKEN: "t" };
    const noTls = ["serve", "--port", "0", "--tls-cert", "/no/such/file", "--tls-key", "/no/such/file"];
    const missing = await run(noTls, env);
    assert.match(missing.stderr, /^error: --tls-cert \/no\/such\/file: ENOENT.*\nhint: check the path/);
    const [aFile, folder] = [file(""), tempPath("-folder")];
    mkdirSync(folder);
    const half = await run(["serve", "--port", "0", "--tls-cert", aFile], env);
    assert.match(half.stderr, /^error: TLS needs a certificate and its key\nhint: /);
    for (const [option, value] of [
      ["--proxy-protocol", "sometimes"],
      ["--forwarded-fields", "via"],
    ] as const) {
      const { code, stderr } = await run(["serve", option, value], env);
      assert.ok(stderr.startsWith(`error: ${option} ${value}: unknown value\nhint: use `), stderr);
      assert.equal(code, 2);
    }
    for (const [args, says] of [
      [["--trusted-proxy", "localhost"], /^error: trusted proxy "localhost": use an address or a block/],
      [["--proxy-protocol", "allow"], /^error: proxy protocol: name the trusted proxies that send it/],
      [
        ["--forwarded-prefix"],
        /^error: forwarded prefix: name the trusted proxies that set X-Forwarded-Prefix/,
      ],
      [
        ["--trusted-proxy", "192.0.2.1", "--forwarded-prefix", "--forwarded-fields", "forwarded"],
        /^error: forwarded prefix: .*leave the forwarded fields at x-forwarded/,
      ],
      [
        ["--data-dir", "/proc/none/at/all"],
        /^error: data directory \/proc\/none\/at\/all: cannot be created: .*EN\w+: .*\/proc\/none.*\nhint: /,
      ],
      [
        ["--data-dir", aFile],
        /^error: data directory \S+: cannot be created: .*EEXIST.*\nhint: a file is at this path: give a directory/,
      ],
      [["--token-file", folder], /^error: token file \S+: EISDIR.*\nhint: this is a directory: give a file/],
      [
        ["--token-file", "/no/such/file"],
        /^error: token file \/no\/such\/file: ENOENT.*\nhint: check the path/,
      ],
      [
        ["--token-file", file('{\n  "tokens": [1 2]\n}')],
        /^error: token file \S+: not valid JSON at line 2, column 16\nhint: correct the file/,
      ],
      [
        ["--tls-cert", folder, "--tls-key", folder],
        /^error: --tls-cert \S+: EISDIR.*\nhint: this is a directory: give a file/,
      ],
      [
        ["--moonlight-credentials-file", "/no/such/file"],
        /^error: --moonlight-credentials-file \/no\/such\/file: ENOENT.*\nhint: check the path/,
      ],
    ] as const) {
      const { code, stderr } = await run(["serve", "--port", "0", ...args], env);
      assert.match(stderr, says);
      assert.equal(code, 1);
    }
    await using serve = await startServe();
    const args = ["serve", "--host", "127.0.0.1", "--port", String(serve.port)];
    const taken = await run(args, env);
    assert.match(taken.stderr, /^error: listen EADDRINUSE.*\nhint: another process listens on it/);
    assert.equal(taken.code, 1);
    const elsewhere = await run(["serve", "--host", "203.0.113.1", "--port", "0"], env);
    assert.match(
      elsewhere.stderr,
      /^error: listen EADDRNOTAVAIL: .* 203\.0\.113\.1\nhint: this machine does not have the address/,
    );
    const relay = ["agent", "--server", "http://127.0.0.1:1", "--listen"];
    const noFolder = await run([...relay, "unix:/no/such/folder/r.sock"]);
    assert.match(
      noFolder.stderr,
      /error: listen unix:\/no\/such\/folder\/r\.sock: no directory \/no\/such\/folder\nhint: create it/,
    );
    const noHost = await run([...relay, "203.0.113.1:0"]);
    assert.match(
      noHost.stderr,
      /error: listen EADDRNOTAVAIL: .* 203\.0\.113\.1\nhint: this machine does not have the address/,
    );
    const inUse = await run([...relay, `127.0.0.1:${serve.port}`]);
    assert.match(inUse.stderr, /error: listen EADDRINUSE.*\nhint: another process listens on it/);
    for (const { code } of [elsewhere, noFolder, noHost, inUse]) assert.equal(code, 1);
    for (const { stderr } of [missing, half, taken, elsewhere, noFolder, noHost, inUse])
      assert.ok(!/^ +at /m.test(stderr), stderr);
  });
});
