/**
 * `npm run e2e`: the whole system with real processes, a real desktop, a real browser and real networks, one test
 * file after the other.
 *
 *     node test/e2e/run.ts [FILE...]     some files only
 */
import { globSync } from "node:fs";
import { provideParts, run } from "../support/provide-parts.ts";
import { E2E_PARTS } from "./parts.ts";

provideParts(E2E_PARTS);

const given = process.argv.slice(2);
const files = given.length > 0 ? given : globSync("test/e2e/**/*.test.ts").toSorted();
const tests = ["--test", "--test-timeout=300000", "--test-concurrency=1", ...files];
process.exitCode = run(process.execPath, tests);
