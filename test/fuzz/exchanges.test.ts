/**
 * Hostile targets against callers of every kind, in a process without a handler for uncaught errors: it lives, every
 * exchange ends, and nothing that was cut looks complete. `FUZZ_COUNT` and `FUZZ_SEED` for more.
 */
import assert from "node:assert/strict";
import { it } from "node:test";
import { runChild } from "../support/child.ts";

const count = process.env["FUZZ_COUNT"] ?? "400";
const seed = process.env["FUZZ_SEED"] ?? "3";

it(`${count} hostile responses from seed ${seed} end one exchange each`, async () => {
  const { code, stdout, stderr } = await runChild(new URL("exchanges.child.ts", import.meta.url), [
    seed,
    count,
  ]);
  assert.deepEqual([code, stdout.trim()], [0, ""], stderr.slice(-2_000));
});
