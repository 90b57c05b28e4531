/**
 * `npm run e2e`: the whole system with real processes, a real desktop, a real browser and real networks, one test
 * file after the other.
 *
 *     node test/e2e/run.ts [FILE...]     some files only
 */
import { globSync } from "node:fs";
import { commandLine, runFiles } from "../runner/run-files.ts";
import { provideParts } from "../support/provide-parts.ts";
import { E2E_PARTS } from "./parts.ts";

provideParts(E2E_PARTS);

const { given, flags } = commandLine();
process.exitCode = await runFiles(given.length > 0 ? given : globSync("test/e2e/**/*.test.ts").toSorted(), {
  flags,
  concurrency: 1,
  testTimeoutMs: 300_000,
  fileTimeoutMs: 900_000,
  runTimeoutMs: 1_800_000,
  verbose: true,
});
