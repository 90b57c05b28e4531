/** What commands that call a control plane say of mistakes: at once, once, with what to do, and with an exit status. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import net from "node:net";
import { after, before, describe, it } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import { helix } from "../../../src/helix/helix.ts";
import { CommandHost } from "../../support/command-host.ts";
import { Command } from "../../support/commands.ts";
import { eventually } from "../../support/events.ts";
import { promptly } from "../../support/stopwatch.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";
import { startTarget } from "../../support/target.ts";

const host = new CommandHost(new URL("../../../src/cli/main.ts", import.meta.url));
const NARROW_TOKEN = "token-of-another-target";
let system: System;

before(async () => {
  const sha256 = hashToken(NARROW_TOKEN);
  const narrow = { id: "narrow", kind: "user" as const, sha256, runners: ["runner-*"], targets: ["other"] };
  system = await startSystem({ controlPlane: { extensions: [helix()], tokens: [narrow] } });
  system.agent.addRunner({
    id: RUNNER,
    targets: [TARGET, "other"].map((name) => ({ name, http: "auto", address: system.target.parsed })),
  });
  const offers = (): boolean | undefined => system.controlPlane.runners()[0]?.info?.targets.length === 2;
  await eventually(() => offers() === true, "the second target");
});
after(async () => {
  await host[Symbol.asyncDispose]();
  await system.close();
});

const WRONG = { TURNABOUT_TOKEN: "wrong" };
const NARROW = { TURNABOUT_TOKEN: NARROW_TOKEN };
const SERVES = { TURNABOUT_ADMIN_TOKEN: "t" };
const NOWHERE = { TURNABOUT_SERVER: "http://127.0.0.1:1" };
const UNKNOWN_TOKEN = /this control plane does not know the token/;
const NOTHING_LISTENS = /nothing listens there/;
const LISTS_RUNNERS = /`turnabout status` lists the runners/;
const AT = `${RUNNER}/${TARGET}`;

const MISTAKES: readonly (readonly [string, number, RegExp, RegExp, Record<string, string>?])[] = [
  [`ping ${RUNNER}`, 1, /A valid token is required/, UNKNOWN_TOKEN, WRONG],
  [`ping ${RUNNER}`, 1, /cannot reach 127\.0\.0\.1:1: /, NOTHING_LISTENS, NOWHERE],
  ["ping nobody", 1, /No runner with this id/, LISTS_RUNNERS],
  [`ping ${RUNNER} --count 0`, 2, /^--count 0: not a whole number from 1 to 1000000$/, /^use 1 to 1000000$/],
  [`ping ${RUNNER} -c 1.5`, 2, /^--count 1\.5: /, /^use /],
  [`ping ${RUNNER} -i 1e3`, 2, /^--interval 1e3: not a number from 0 to 3600$/, /^use /],
  ["open host-1/web --port 65536", 2, /^--port 65536: not a port$/, /65535/],
  ["sessions create --size 9x99999", 2, /^--size, width 9: not a whole number from 64 to 16384$/, /^use /],
  ["tokens create a --kind user --expires 36501d", 2, /^--expires 36501d: not a time/, /^use 90s/],
  [`connect ${AT}`, 1, /A valid token is required/, UNKNOWN_TOKEN, WRONG],
  [`connect ${AT}`, 1, /does not permit/, /covers the runner/, NARROW],
  [`connect ${AT}`, 1, /cannot reach 127\.0\.0\.1:1: /, NOTHING_LISTENS, NOWHERE],
  [`connect ${RUNNER}/none`, 1, /no target with this name/, /lists the targets/],
  ["connect nobody/web", 1, /No runner with this id/, LISTS_RUNNERS],
  [`forward 0=${AT}`, 1, /A valid token is required/, UNKNOWN_TOKEN, WRONG],
  [`forward 0=${AT}`, 1, /^the token may not reach runner-1\/echo$/, /use the token of/, NARROW],
  [`forward 0=${AT}`, 1, /cannot reach 127\.0\.0\.1:1: /, NOTHING_LISTENS, NOWHERE],
  [`forward 0=${RUNNER}/none`, 1, /^runner runner-1 has no target "none"$/, /^it has echo, other$/],
  ["forward 0=nobody/web", 1, /No runner with this id/, LISTS_RUNNERS],
  [
    `forward unix:/no/such/x.sock=${AT}`,
    1,
    /^listen unix:\/no\/such\/x\.sock: no directory \/no\/such$/,
    /^create it/,
  ],
  ["open nobody/web", 1, /No runner with this id/, LISTS_RUNNERS],
  ["curl host-1", 2, /^"host-1": not the URL of a target$/, /use RUNNER\/TARGET\/path/],
  ["open host-1", 2, /^"host-1": not the URL of a target$/, /use RUNNER\/TARGET\/path/],
  ["curl /", 2, /^"\/": not the URL of a target$/, /use RUNNER\/TARGET\/path/],
  ["curl http://host-1/web", 2, /^"http:\/\/host-1\/web": not the URL of a target$/, /use RUNNER/],
  [`curl -X POST ${AT}`, 2, /^-X: no option of turnabout$/, /after the URL/],
  [`curl ${AT} --server http://x`, 2, /^--server after the URL/, /before the URL/],
  ["kick nope", 1, /^no runner "nope"$/, LISTS_RUNNERS],
  ["tokens revoke nope", 1, /^no token "nope"$/, /`turnabout tokens list`/],
  ["tokens rotate nope new", 1, /^no issued token "nope"$/, /`turnabout token --id NEW/],
  ["status nope", 1, /^no runner "nope"$/, /that this token may see/],
  ["tokens create narrow --kind admin", 1, /^token "narrow" exists already$/, /^choose another id/],
  ["tokens create a/b --kind admin", 2, /^"a\/b": not an id of a token$/, /^use 1 to 128 of/],
  ["tokens create a --kind runner", 2, /^no runner given/, /^give --runner PATTERN/],
  ["ping nobody", 1, /or this token does not cover it/, LISTS_RUNNERS, NARROW],
  ["stat", 2, /^unknown command "stat"$/, /^did you mean status\? /],
  ["tokens rotate", 2, /^missing required argument 'id'$/, /`turnabout tokens rotate --help`/],
  ["sessions stop nope", 1, /^no session "nope"$/, /`turnabout sessions list`/],
  ...["config", "profile", "sessions", "tokens"].map(
    (group) =>
      [group, 2, new RegExp(`^turnabout ${group}: no subcommand$`), /^use [a-z]+, .*--help`/] as const,
  ),
  ["events --type nonesuch", 2, /^--type nonesuch: unknown value$/, /use connected, .*session-ended/],
  [
    "serve --max-streams-per-caller 0",
    2,
    /^--max-streams-per-caller 0: less than 1$/,
    /^use 1 to 999999$/,
    SERVES,
  ],
  ["serve --response-timeout 0", 2, /^--response-timeout 0: less than 0\.1$/, /^use 0\.1 to/, SERVES],
  ["serve --grace 2592000", 2, /^--grace 2592000: more than 2147483$/, /^use 0 to 2147483$/, SERVES],
  [
    "agent --server http://x --runner a --target web=1.2.3.4:5 --connections 17",
    2,
    /^--connections 17: more than 16$/,
    /^use 1 to 16$/,
  ],
];

describe("a mistake with a command", () => {
  for (const [line, status, error, hint, env = {}] of MISTAKES)
    it(`${line}${Object.keys(env).join(" ").replace(/^./, " and another $&")}`, async () => {
      const own = { TURNABOUT_SERVER: system.url, TURNABOUT_TOKEN: ADMIN_TOKEN };
      const running = host.run(line.split(" "), { ...own, ...env });
      const { code, stdout, stderr } = await promptly(running, line, 10_000);
      const [, first = "", second = ""] = /^error: (.*)\nhint: (.*)$/.exec(stderr) ?? [];
      assert.match(first, error, stderr);
      assert.match(second, hint);
      assert.deepEqual([code, stdout], [status, ""]);
    });
});

it("forward takes the place of a socket that a killed process has left, and of nothing else", async () => {
  const socketPath = tempPath();
  const args = ["forward", `unix:${socketPath}=${AT}`];
  const env = { TURNABOUT_SERVER: system.url, TURNABOUT_TOKEN: ADMIN_TOKEN };
  await using killed = new Command("turnabout", args, { env });
  await killed.output.find((text) => text.includes(" -> "), "the first one listens");
  await killed.end("SIGKILL");
  assert.ok(existsSync(socketPath), "SIGKILL leaves the file");
  await using next = new Command("turnabout", args, { env });
  await next.output.find((text) => text.includes(" -> "), "the next one listens");
  const third = await host.run(args, env);
  assert.match(
    third.stderr,
    /^error: listen unix:.*: another process listens there\nhint: stop that process, /,
  );
  assert.equal(third.code, 1);
  await next.end("SIGTERM");
  writeFileSync(socketPath, "precious");
  const refused = await host.run(args, env);
  assert.match(
    refused.stderr,
    /^error: listen unix:.*: a file is there already, not a socket\nhint: remove it/,
  );
  assert.equal(readFileSync(socketPath, "utf8"), "precious");
});

it("a runner that is away is waited for, which forward says; what it ends it calls so", async () => {
  await using own = await startSystem({ agents: 0 });
  const agent = await own.addAgent({ away: { web: own.target.address } });
  await agent.close();
  const env = { TURNABOUT_SERVER: own.url, TURNABOUT_TOKEN: ADMIN_TOKEN };
  await using forward = new Command("turnabout", ["forward", "0=away/web"], { env });
  const line = await forward.output.find((text) => text.includes("-> away/web"), "the local port");
  await forward.logged(/^warning: away is not connected: .*; connections wait up to 30 s for it$/);
  const local = net.connect({ host: "127.0.0.1", port: Number(/:(\d+) ->/.exec(line)?.[1]) });
  local.on("error", () => {});
  local.write("early");
  await forward.logged(/^away is not connected: .*; waiting up to 30 s$/);
  assert.equal((await forward.end("SIGINT")).code, 0);
  local.destroy();
  assert.match(forward.output.all.at(-1) ?? "", /closed, because forwarding has ended$/);
});

it("a control plane that accepts connections and is silent is waited for, which status and forward say", async () => {
  await using silent = await startTarget();
  const env = { TURNABOUT_SERVER: `http://${silent.address}`, TURNABOUT_TOKEN: ADMIN_TOKEN };
  await using status = new Command("turnabout", ["status"], { env });
  await using forward = new Command("turnabout", ["forward", `0=${AT}`], { env });
  const notice = /^127\.0\.0\.1:\d+ has not responded yet; waiting$/;
  await Promise.all([status.logged(notice), forward.logged(notice)]);
});
