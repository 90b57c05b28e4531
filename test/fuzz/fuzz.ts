/** A fuzzer as a test: `FUZZ_COUNT` and `FUZZ_SEED` for more. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { runChild } from "../support/child.ts";

/**
 * Runs the script in a process without a handler for uncaught errors. It prints what was wrong, and nothing else.
 *
 * @param count how many cases, where `FUZZ_COUNT` does not say
 */
export function fuzz(title: string, script: URL, count: number): void {
  const most = process.env["FUZZ_COUNT"] ?? String(count);
  const seed = process.env["FUZZ_SEED"] ?? "3";
  it(`${title} (${most} from seed ${seed})`, async () => {
    const { code, signal, stdout, stderr } = await runChild(script, [seed, most]);
    assert.deepEqual([code, signal, stdout.trim()], [0, null, ""], stderr.slice(-2_000));
  });
}
