/**
 * `npm run fronts`: Turnabout behind real TLS terminators, and the table of results in docs/deployment.md.
 *
 *     npm run fronts -- --write-table     rewrites that table
 */
import { runFiles } from "../runner/run-files.ts";
import { provideParts } from "../support/provide-parts.ts";
import { PARTS } from "./parts.ts";

provideParts(PARTS);
process.exitCode = await runFiles(["test/fronts/fronts.test.ts"], {
  concurrency: 1,
  testTimeoutMs: 600_000,
  fileTimeoutMs: 1_200_000,
  runTimeoutMs: 1_200_000,
  verbose: true,
  env: process.argv.includes("--write-table") ? { WRITE_TABLE: "yes" } : {},
});
