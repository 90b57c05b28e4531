/** Commands that call a control plane, in one process after the other's end. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { helix } from "../../../src/helix/helix.ts";
import { file } from "../../support/agents.ts";
import { CommandHost } from "../../support/command-host.ts";
import type { CommandResult } from "../../support/command-host.ts";
import { missing } from "../../support/parts.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import { tempPath } from "../../support/temp.ts";

const host = new CommandHost(new URL("../../../src/cli/main.ts", import.meta.url));
const home = mkdtempSync(path.join(os.tmpdir(), "turnabout-"));
let system: System;
let seen: string[] = [];

before(async () => {
  const target = await startHttpTarget((request, response) => {
    seen.push(`${request.method ?? ""} ${request.url ?? ""} ${request.headers.authorization ?? "-"}`);
    response.end("from the target");
  });
  system = await startSystem({ target, tls: true, controlPlane: { extensions: [helix()] } });
});
after(async () => {
  await host[Symbol.asyncDispose]();
  await system.close();
  rmSync(home, { recursive: true, force: true });
});

/** As the admin, by variables of the environment. */
function run(args: readonly string[], env: Record<string, string> = {}): Promise<CommandResult> {
  const own = { TURNABOUT_SERVER: system.url, TURNABOUT_TOKEN: ADMIN_TOKEN, XDG_CONFIG_HOME: home };
  return host.run(args, { ...own, ...env });
}

/** With the certificate's authority. */
async function succeed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run([...args, "--ca", system.caFile ?? ""]);
  assert.equal(code, 0, stderr);
  return stdout;
}

describe("turnabout status", () => {
  it("lists runners, as a table and as the API's JSON", async () => {
    const table = await succeed("status");
    assert.match(table, /^RUNNER +STATE .* TARGETS\n/);
    assert.match(table, /^runner-1 +connected .* echo$/m);
    const { runners } = JSON.parse(await succeed("status", "runner-*", "--json")) as {
      runners: { id: string }[];
    };
    assert.deepEqual(
      runners.map(({ id }) => id),
      [RUNNER],
    );
  });

  it("fails for a runner that there is not, and says how many there are", async () => {
    const { code, stderr } = await run(["status", "gpu-*", "--ca", system.caFile ?? ""]);
    assert.deepEqual([code, stderr.split("\n")[0]], [1, 'error: no runner "gpu-*"']);
  });
});

describe("turnabout ping", () => {
  it("prints each round trip with its carrier, and the losses", async () => {
    const text = await succeed("ping", RUNNER, "-c", "2", "-i", "0");
    assert.match(text, /^runner-1: [\d.]+ ms by \w+, connection \w+\n/);
    assert.match(text, /2 sent, 2 returned, 0 % lost; least, mean, most: /);
  });

  it("counts a runner that is away as lost, and has exit status 1 if none returns", async () => {
    const away = await system.addAgent({ away: { web: system.target.address } });
    await away.close();
    const { code, stdout } = await run(["ping", "away", "-c", "1", "--ca", system.caFile ?? "", "--json"]);
    assert.equal(code, 1);
    assert.match(String((JSON.parse(stdout) as { error: unknown }).error), /The runner is not connected/);
  });
});

describe("turnabout check", () => {
  const target = (): string[] => ["--runner", RUNNER, "--target", `web=${system.target.address}`];

  it("prints a line for each check, and has exit status 0 where nothing has failed", async () => {
    const table = await succeed("check", ...target());
    assert.match(table, /^STATE +CHECK +SEEN -> REMEDY\n/);
    for (const line of [
      /^ok +tls /m,
      /^ok +carrier rh2 +works, round trip [\d.]+ ms/m,
      /^ok +target runner-1\/web /m,
    ])
      assert.match(table, line);
    assert.match(table, /^\d+ ok, 0 warnings, 0 failed, \d+ skipped$/m);
    assert.ok(!table.includes(ADMIN_TOKEN));
  });

  it("has exit status 1 for what has failed, with a remedy, and 2 for wrong usage", async () => {
    const failed = await run(["check", ...target(), "--json"]); // without the CA
    assert.equal(failed.code, 1);
    const { ok, checks } = JSON.parse(failed.stdout) as { ok: boolean; checks: Record<string, unknown>[] };
    const tls = checks.find(({ check }) => check === "tls");
    assert.deepEqual([ok, tls?.["state"]], [false, "failed"]);
    assert.match(String(tls?.["remedy"]), /--ca/);
    assert.equal((await run(["check", "--carrier", "pigeon"])).code, 2);
    const nowhere = await run(["check"], { TURNABOUT_SERVER: "" });
    assert.deepEqual([nowhere.code, /^error: no control plane given$/m.test(nowhere.stderr)], [2, true]);
  });

  it("takes the server, the token and the CA of a profile, and completes its options", async () => {
    const saved = ["--server", system.url, "--token-file", file(ADMIN_TOKEN), "--ca", system.caFile ?? ""];
    const env = { TURNABOUT_SERVER: "", TURNABOUT_TOKEN: "", XDG_CONFIG_HOME: path.join(home, "check") };
    await run(["profile", "set", "there", ...saved], env);
    const { code, stdout } = await run(["check", "--profile", "there"], env);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^ok +token +admin token admin: valid$/m);
    const { stdout: words } = await run(["completion", "words", "check"]);
    for (const option of ["--server", "--target", "--profile", "--json"])
      assert.ok(words.includes(option), option);
  });
});

describe("turnabout tokens", () => {
  it("creates, lists, rotates and revokes", async () => {
    const secret = await succeed(
      "tokens",
      "create",
      "ci",
      "--kind",
      "user",
      "--runner",
      "gpu-*",
      "--expires",
      "1h",
    );
    assert.match(secret, /^ta_\S+$/);
    assert.match(await succeed("tokens", "list"), /^ci +user +ci +gpu-\* +all .* -$/m);
    const next = await succeed("tokens", "rotate", "ci", "ci-2", "--revoke");
    assert.notEqual(next, secret);
    const listed = await succeed("tokens", "list", "--json");
    const { tokens } = JSON.parse(listed) as { tokens: { id: string; owner: string; runners: string[] }[] };
    assert.deepEqual(
      tokens.map(({ id, owner, runners }) => [id, owner, runners]),
      [["ci-2", "ci", ["gpu-*"]]],
    );
    assert.ok(!listed.includes(next.trim()));
    await succeed("tokens", "revoke", "ci-2");
    assert.equal(await succeed("tokens", "list"), "no issued tokens");
  });
});

describe("turnabout curl", { skip: missing("curl") }, () => {
  it("sends curl's request to the target, and its arguments have no token", async () => {
    seen = [];
    const shim = mkdtempSync(path.join(home, "bin-"));
    writeFileSync(
      path.join(shim, "curl"),
      `#!/bin/sh\necho "$@" > ${shim}/arguments\nexec /usr/bin/curl "$@"\n`,
      {
        mode: 0o755,
      },
    );
    const url = `${RUNNER}/echo/../a/./b?b=c`; // as it is: resolved, it would leave the route
    const args = ["curl", "--ca", system.caFile ?? "", url, "-s", "-X", "PUT", "-o", `${shim}/body`];
    const { code, stderr } = await run(args, { PATH: `${shim}:${process.env["PATH"] ?? ""}` });
    assert.equal(code, 0, stderr);
    assert.equal(readFileSync(`${shim}/body`, "utf8"), "from the target");
    assert.deepEqual(seen, ["PUT /../a/./b?b=c -"]);
    assert.ok(!readFileSync(`${shim}/arguments`, "utf8").includes(ADMIN_TOKEN));
  });
});

describe("a command that cannot reach its control plane", () => {
  const untrusted = { name: "without the CA", args: ["status"], hint: /not trusted: give its CA with --ca/ };
  for (const { name, args, env = {}, hint } of [
    untrusted,
    {
      name: "with a wrong token",
      args: ["status"],
      env: { TURNABOUT_TOKEN: "wrong" },
      hint: /does not know the token/,
    },
    {
      name: "where nothing listens",
      args: ["status"],
      env: { TURNABOUT_SERVER: "http://127.0.0.1:1" },
      hint: /nothing listens/,
    },
    { name: "without a server", args: ["status"], env: { TURNABOUT_SERVER: "" }, hint: /TURNABOUT_SERVER/ },
    {
      name: "with a login in the URL",
      args: ["status"],
      env: { TURNABOUT_SERVER: "https://a:b@x" },
      hint: /--token-file/,
    },
    { name: "with an option that does not exist", args: ["status", "--jsn"], hint: /did you mean --json\?/ },
  ] as { name: string; args: string[]; env?: Record<string, string>; hint: RegExp }[]) {
    it(`${name} says what to do`, async () => {
      const trusted = name === untrusted.name ? [] : ["--ca", system.caFile ?? ""];
      const { code, stdout, stderr } = await run([...args, ...trusted], env);
      assert.notEqual(code, 0);
      assert.equal(stdout, "");
      assert.match(stderr, /^error: .*\nhint: .*$/);
      assert.match(stderr, hint);
    });
  }
});

describe("a profile", () => {
  const bare = { TURNABOUT_SERVER: "", TURNABOUT_TOKEN: "" };

  it("stands for a server, its token and its CA, in a file for its owner alone", async () => {
    const token = file(`${ADMIN_TOKEN}\n`);
    const set = [
      "profile",
      "set",
      "--server",
      system.url,
      "--token-file",
      token,
      "--ca",
      system.caFile ?? "",
    ];
    assert.equal((await run(set, bare)).code, 0);
    assert.equal(statSync(path.join(home, "turnabout/profiles.yaml")).mode & 0o777, 0o600);
    const { code, stdout, stderr } = await run(["status"], bare);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /runner-1/);
    assert.match((await run(["profile", "list"], bare)).stdout, /^default \* +https:/m);
  });

  it("keeps its token from every other server", async () => {
    const { code, stderr } = await run(["status"], { ...bare, TURNABOUT_SERVER: "http://127.0.0.1:1" });
    assert.equal(code, 2);
    assert.match(stderr, /^error: no token given/);
  });

  it("that is unknown, or a file that is none, is named without its contents", async () => {
    assert.match(
      (await run(["status", "--profile", "other"], bare)).stderr,
      /no profile "other".*\nhint: use one of default/,
    );
    writeFileSync(path.join(home, "turnabout/profiles.yaml"), "profiles:\n  default: {token: [secret-1}\n");
    const { code, stderr } = await run(["status"], bare);
    assert.equal(code, 2);
    assert.match(stderr, /not a file of profiles/);
    assert.ok(!stderr.includes("secret-1"));
    rmSync(path.join(home, "turnabout"), { recursive: true });
  });
});

describe("turnabout token", () => {
  it("adds the entry to a token file and writes the token to another, both for their owner alone", async () => {
    const [entries, secret] = [tempPath(".json"), tempPath(".token")];
    const args = ["token", "--id", "host-1", "--kind", "runner", "--runner", "host-1"];
    const { code, stdout, stderr } = await run([...args, "--add", entries, "--out", secret]);
    assert.deepEqual([code, stdout], [0, ""], stderr);
    assert.match(readFileSync(secret, "utf8"), /^ta_\S+\n$/);
    for (const name of [entries, secret]) assert.equal(statSync(name).mode & 0o777, 0o600);
    const again = await run([
      "token",
      "--id",
      "host-1",
      "--kind",
      "user",
      "--add",
      entries,
      "--out",
      tempPath(".token"),
    ]);
    assert.match(again.stderr, /has an entry "host-1"/);
    const more = await run(["token", "--id", "alice", "--kind", "user", "--add", entries]);
    assert.match(more.stdout, /^ta_\S+$/);
    const { tokens } = JSON.parse(readFileSync(entries, "utf8")) as { tokens: { id: string }[] };
    assert.deepEqual(
      tokens.map(({ id }) => id),
      ["host-1", "alice"],
    );
  });

  it("never replaces a token, and writes none whose entry cannot be added", async () => {
    const secret = file("another\n");
    const taken = await run(["token", "--id", "a", "--kind", "user", "--out", secret]);
    assert.match(taken.stderr, /--out \S+: exists/);
    assert.equal(readFileSync(secret, "utf8"), "another\n");
    const unwritten = tempPath(".token");
    const damaged = await run([
      "token",
      "--id",
      "a",
      "--kind",
      "user",
      "--add",
      file("{"),
      "--out",
      unwritten,
    ]);
    assert.match(damaged.stderr, /token file: not valid JSON/);
    assert.throws(() => statSync(unwritten), { code: "ENOENT" });
  });
});
