import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import { file } from "../../support/agents.ts";
import { CommandHost } from "../../support/command-host.ts";
import { Command, startAgent, startServe } from "../../support/commands.ts";
import { within } from "../../support/events.ts";
import { call, runnersUntil, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";
import { refusingAddress } from "../../support/target.ts";
import { tempPath } from "../../support/temp.ts";

afterEach(() => assertNothingOpen());

const SECRET = "s3cr3t-of-the-runner";
const WRONG = "wr0ng-but-still-secret";

function tokenFile(): string {
  const record = { id: "runners", kind: "runner", sha256: hashToken(SECRET), runners: ["*"] };
  return file(JSON.stringify({ tokens: [record] }));
}

describe("secrets", () => {
  it("are in no log line of agent or control plane, accepted or refused, at any level", async () => {
    await using serve = await startServe(["--token-file", tokenFile(), "--log-level", "debug"]);
    const debug = ["--log-level", "debug"];
    for (const carrier of ["ptth", "websocket"]) {
      const args = [...debug, "--carrier", carrier];
      await using good = startAgent(serve.url, `good-${carrier}`, "web=127.0.0.1:1", args, {
        TURNABOUT_TOKEN: SECRET,
      });
      await using bad = startAgent(serve.url, `bad-${carrier}`, "web=127.0.0.1:1", args, {
        TURNABOUT_TOKEN: WRONG,
      });
      await good.logged("connected");
      await bad.logged("refused; trying again more slowly");
      for (const command of [good, bad]) {
        assert.ok(!command.stderr.includes(SECRET) && !command.stderr.includes(WRONG));
      }
    }
    // The caller's own credential, in every place that accepts one.
    const url = targetUrl(serve.url, "good-ptth", "web");
    await call(url, { token: WRONG });
    await call(`${url}?access_token=${WRONG}`, { token: null });
    await call(url, { token: null, headers: { "x-api-key": WRONG, cookie: `access_token=${WRONG}` } });
    await call(`${serve.url}/api/v1/runners`, { headers: { "proxy-authorization": `Basic ${WRONG}` } });
    await serve.end();
    for (const secret of [SECRET, WRONG, ADMIN_TOKEN, hashToken(SECRET)]) {
      assert.ok(!serve.stderr.includes(secret));
    }
  });

  it("are in no error body, nor is an internal address", async () => {
    const address = await refusingAddress();
    await using serve = await startServe();
    await using agent = startAgent(serve.url, "web", `web=${address}`);
    await agent.logged("connected");
    await runnersUntil(serve.url, (runners) => runners[0]?.state === "connected", "the agent");
    for (const [path, token] of [
      [targetUrl("", "web", "web"), ADMIN_TOKEN],
      [targetUrl("", "web", "nothing"), ADMIN_TOKEN],
      [targetUrl("", "nobody", "web"), ADMIN_TOKEN],
      [targetUrl("", "web", "web"), WRONG],
      ["/api/v1/revdial?runnerid=x", WRONG],
      ["/no/such/path", ADMIN_TOKEN],
    ] as const) {
      const { status, body, headers } = await call(`${serve.url}${path}`, { token });
      assert.ok(status >= 400, path);
      const { error } = JSON.parse(body) as { error: Record<string, unknown> };
      assert.deepEqual(Object.keys(error), ["code", "message", "requestId"]);
      const all = body + JSON.stringify(headers);
      for (const inside of [WRONG, ADMIN_TOKEN, address, address.split(":").at(-1) ?? "", "127.0.0.1"]) {
        assert.ok(!all.includes(inside), `${path}: ${all}`);
      }
    }
  });

  for (const [name, args] of [
    ["revdial-client", ["-runner-id", "sandbox-x", "-token", SECRET, "-local", "localhost:1", "-server"]],
    ["wolf-revdial-client", ["-wolf-id", "x", `-token=${SECRET}`, "-api-url"]],
  ] as const) {
    it(`in arguments of ${name} do not stay in the process list`, async () => {
      await using serve = await startServe(["--token-file", tokenFile()]);
      await using command = new Command(name, [...args, serve.url]);
      await command.logged("connected");
      const commandLine = readFileSync(`/proc/${command.pid}/cmdline`, "latin1");
      assert.ok(!commandLine.includes(SECRET), commandLine);
      assert.ok(commandLine.startsWith(name));
      assert.ok(!command.stderr.includes(SECRET));
    });
  }

  it("are in no message where the name of their file belongs, and the command ends at once", async () => {
    await using host = new CommandHost(new URL("../../../src/cli/main.ts", import.meta.url));
    const token = `ta_${"Aa-_0123".repeat(4)}`;
    const to = ["--server", "http://127.0.0.1:1"];
    const agent = ["agent", ...to, "--runner", "host-1", "--target", "web=127.0.0.1:1"];
    const saved = { XDG_CONFIG_HOME: tempPath("") };
    mkdirSync(`${saved.XDG_CONFIG_HOME}/turnabout`, { recursive: true });
    const profiles = `profiles:\n  x:\n    server: http://127.0.0.1:1\n    token-file: /tmp/${token}\n`;
    writeFileSync(`${saved.XDG_CONFIG_HOME}/turnabout/profiles.yaml`, profiles);
    const variable = { TURNABOUT_TOKEN_FILE: `${token}\n{"id":"x"}` };
    for (const [args, env, message] of [
      [agent, variable, "TURNABOUT_TOKEN_FILE: this is a token, not a file"],
      [[...agent, "--token-file", token], {}, "--token-file: this is a token, not a file"],
      [["check", ...to, "--token-file", token], {}, "--token-file: this is a token, not a file"],
      [["check", "--profile", "x"], saved, "token file: this is a token, not a file"],
      [["serve", "--port", "0", "--token-file", token], {}, "--token-file: this is a token, not a file"],
      [["status", ...to, "--token-file", token], {}, "token file: this is a token, not a file"],
      [["status", "--profile", "x"], saved, "token file: this is a token, not a file"],
      [["profile", "set", "y", ...to, "--token-file", token], saved, "--token-file: this is a token"],
      [["profile", "list"], saved, "this is a token, not a file"],
      [
        ["revdial-client", "-server", "http://127.0.0.1:1", "-runner-id", "x", "-token-file", token],
        {},
        "token",
      ],
      [["token", "--id", "x", "--kind", "admin", "--out", token], {}, "--out: this is a token, not a file"],
    ] as const) {
      const { code, stdout, stderr } = await host.run(args, env);
      assert.ok(!`${stdout}${stderr}`.includes(token), `${args.join(" ")}: ${stdout}${stderr}`);
      assert.ok(`${stdout}${stderr}`.includes(message), `${args.join(" ")}: ${stdout}${stderr}`);
      assert.equal(code === 0, args[1] === "list", args.join(" "));
    }
  });

  for (const format of ["json", "pretty"]) {
    it(`are redacted in ${format} where a line carries them as fields`, async () => {
      const script = new URL("../../support/logger.child.ts", import.meta.url);
      await using command = new Command(script, [format, SECRET]);
      await within(command.exited, "its end");
      assert.match(command.stderr, /a careless line/);
      assert.match(command.stderr, /\[redacted\]/);
      assert.match(command.stderr, /visible/);
      assert.ok(!command.stderr.includes(SECRET), command.stderr);
    });
  }
});
