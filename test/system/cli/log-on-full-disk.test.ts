import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { nodeFlags } from "../../support/commands.ts";

/** The heap is less than what is logged. */
const HEAP_MB = 40;

it("a log that goes to a full disk neither ends the process nor fills its memory", () => {
  const full = openSync("/dev/full", "w");
  const script = fileURLToPath(new URL("./log-on-full-disk.child.ts", import.meta.url));
  const { status, stdout } = spawnSync(
    process.execPath,
    [...nodeFlags(), `--max-old-space-size=${HEAP_MB}`, script],
    {
      stdio: ["ignore", "pipe", full],
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      encoding: "utf8",
    },
  );
  closeSync(full);
  assert.deepEqual([status, stdout], [0, "went on\n"]);
});
