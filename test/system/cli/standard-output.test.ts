/** Commands whose standard output cannot be written. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { EXIT_STATUS } from "../../../src/cli/command.ts";
import { readDocument, sections, tableRows } from "../../docs/markdown.ts";
import { cleanEnvironment, nodeFlags } from "../../support/commands.ts";

const SCRIPT = fileURLToPath(new URL("../../../src/cli/turnabout.ts", import.meta.url));

interface End {
  code: number | null;
  stderr: string;
}

/** @param output a descriptor, or `closed`: a pipe whose reader has gone */
async function run(args: readonly string[], output: number | "closed"): Promise<End> {
  const child = spawn(process.execPath, [...nodeFlags(), SCRIPT, ...args], {
    stdio: ["ignore", output === "closed" ? "pipe" : output, "pipe"],
    env: cleanEnvironment(),
  });
  child.stdout?.destroy(); // long before it has started
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stderr };
}

describe("a command whose result is what it prints", () => {
  it("reports a full disk, and fails", async () => {
    const full = openSync("/dev/full", "w");
    try {
      const { code, stderr } = await run(["completion", "bash"], full);
      assert.equal(code, EXIT_STATUS.failed);
      assert.match(stderr, /^error: standard output: ENOSPC: .*\nhint: the disk is full: .*\n$/);
      assert.equal((await run(["serve", "--help"], full)).code, EXIT_STATUS.failed);
    } finally {
      closeSync(full);
    }
  });

  it("ends quietly where its reader has gone, with the status of SIGPIPE", async () => {
    assert.deepEqual(await run(["help", "status"], "closed"), { code: EXIT_STATUS.outputClosed, stderr: "" });
  });
});

it("docs/operations.md has every exit status, and no other", () => {
  const [, ...rows] = tableRows(sections(readDocument("docs/operations.md"), 3).get("Exit statuses") ?? "");
  assert.deepEqual(
    rows.map(([status]) => Number(status)),
    Object.values(EXIT_STATUS),
  );
});
