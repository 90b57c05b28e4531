/** What helps to write a command line: completion, and `turnabout help`. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CommandHost } from "../../support/command-host.ts";
import { cleanEnvironment, nodeFlags } from "../../support/commands.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";

const host = new CommandHost(new URL("../../../src/cli/main.ts", import.meta.url));
const home = tempPath("");
let system: System;

before(async () => {
  system = await startSystem();
  mkdirSync(home);
});
after(async () => {
  await host[Symbol.asyncDispose]();
  await system.close();
});

function environment(): Record<string, string> {
  return { TURNABOUT_SERVER: system.url, TURNABOUT_TOKEN: ADMIN_TOKEN, XDG_CONFIG_HOME: home };
}

/** @param line the complete words, and what is typed of the next one */
async function candidates(line: readonly string[], env: Record<string, string> = {}): Promise<string[]> {
  const before = [...line];
  const current = before.pop() ?? "";
  const { code, stdout, stderr } = await host.run(["completion", "complete", current, ...before], {
    ...environment(),
    ...env,
  });
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout.split("\n").filter((word) => word !== "");
}

describe("completion", () => {
  it("has the commands, the subcommands and the options of a line", async () => {
    assert.ok((await candidates([""])).includes("forward"));
    assert.ok((await candidates(["help", ""])).includes("forward"));
    assert.deepEqual((await candidates(["tokens", ""])).slice(0, 4), ["list", "create", "revoke", "rotate"]);
    assert.ok((await candidates(["tokens", "create", "--"])).includes("--kind"));
    assert.ok((await candidates(["agent", "--"])).includes("--docker"));
  });

  it("has the names of runners, targets and profiles where they belong", async () => {
    const names = async (...line: string[]): Promise<string[]> =>
      (await candidates(line)).filter((word) => !word.startsWith("-"));
    for (const command of ["status", "ping", "kick"])
      assert.deepEqual(await names(command, ""), ["runner-1"]);
    for (const command of ["connect", "curl", "open"])
      assert.deepEqual(await names(command, "run"), ["runner-1/echo"]);
    assert.deepEqual(await names("forward", "5432=run"), ["5432=runner-1/echo"]);
    assert.deepEqual(await names("forward", "5432", "=", "run"), ["runner-1/echo"], "as bash has it");
    assert.deepEqual(await names("forward", "54"), []);
    assert.deepEqual(await names("ping", "runner-1", ""), [], "it takes one");
    assert.deepEqual(await names("ping", "--count", ""), [], "a number is expected");
    assert.deepEqual(await names("ping", "--count", "3", ""), ["runner-1"]);
    assert.deepEqual(await names("tail", "--runner", ""), ["runner-1"]);
    assert.deepEqual(await names("tail", "--target", ""), ["echo"]);
    const saved = ["profile", "set", "there", "--server", system.url, "--token-file", "/no/such"];
    await host.run(saved, environment());
    assert.deepEqual(await names("status", "--profile", ""), ["there"]);
  });

  it("takes the server and the token of the line, and has no names without them or a response", async () => {
    const nowhere = { TURNABOUT_SERVER: "", TURNABOUT_TOKEN: "" };
    assert.ok(!(await candidates(["ping", ""], nowhere)).includes("runner-1"));
    const token = path.join(home, "token");
    writeFileSync(token, ADMIN_TOKEN, { mode: 0o600 });
    const access = ["--server", system.url, `--token-file=${token}`];
    assert.ok((await candidates(["ping", ...access, ""], nowhere)).includes("runner-1"));
    for (const server of ["http://127.0.0.1:1", "garbage"])
      assert.ok(!(await candidates(["ping", "--server", server, ""])).includes("runner-1"));
    assert.ok(!(await candidates(["ping", ""], { TURNABOUT_TOKEN: "unknown" })).includes("runner-1"));
  });

  it("is what bash completes with, behind `=` as well", async () => {
    const bin = path.join(home, "bin");
    mkdirSync(bin);
    const script = fileURLToPath(new URL("../../../src/cli/turnabout.ts", import.meta.url));
    const program = [process.execPath, ...nodeFlags(), script].map((word) => `"${word}"`).join(" ");
    writeFileSync(path.join(bin, "turnabout"), `#!/bin/sh\nexec ${program} "$@"\n`);
    chmodSync(path.join(bin, "turnabout"), 0o755);
    const env = { ...cleanEnvironment(), ...environment(), PATH: `${bin}:${process.env["PATH"] ?? ""}` };
    const call = `eval "$(turnabout completion bash)"; compopt() { :; }
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _turnabout; echo "\${COMPREPLY[@]}"`;
    const bash = async (...words: string[]): Promise<string> =>
      (await promisify(execFile)("bash", ["-c", call, "-", ...words], { env })).stdout.trim();
    assert.equal(await bash("turnabout", "forward", "5432", "="), "runner-1/echo");
    assert.equal(await bash("turnabout", "curl", "runner-1/"), "runner-1/echo");
    assert.equal(await bash("turnabout", "com"), "completion");
  });

  it("has a script for zsh and fish", async () => {
    for (const shell of ["zsh", "fish"])
      assert.match((await host.run(["completion", shell])).stdout, /turnabout completion complete/);
    assert.equal((await host.run(["completion", "bsh"])).stderr.includes("did you mean bash?"), true);
  });
});

describe("turnabout help", () => {
  it("is the help of a command or of its subcommand", async () => {
    for (const [line, pattern] of [
      ["", /usage: turnabout COMMAND/],
      ["status", /--watch/],
      ["tail", /Until Ctrl-C/],
      ["serve", /--data-dir DIR/],
      ["tokens create", /--kind/],
      ["completion", /bash\|zsh\|fish/],
    ] as const) {
      const { code, stdout, stderr } = await host.run([
        "help",
        ...line.split(" ").filter((word) => word !== ""),
      ]);
      assert.deepEqual([code, stderr], [0, ""], line);
      assert.match(stdout, pattern, line);
    }
    const { code, stderr } = await host.run(["help", "tokens", "nope"]);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /^error: turnabout tokens: no subcommand "nope"\nhint: use list, create, revoke, rotate/,
    );
  });
});
