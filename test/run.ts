/**
 * `npm test`: brings the real parts that tests need where that is possible (Debian, root), names what will be
 * skipped where it is not, and runs every test file, with coverage.
 *
 *     node test/run.ts [FILE...] [--verbose] [--test-name-pattern=…]     some files only
 *
 * A file that hangs or leaves something behind fails, and what was open is printed: see test/runner.
 */
import { globSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { groupFiles } from "./runner/groups.ts";
import { commandLine, runFiles } from "./runner/run-files.ts";
import { isTypeOnly } from "./runner/type-only.ts";
import { PARTS } from "./support/parts.ts";
import { provideParts, run } from "./support/provide-parts.ts";

const COVERAGE = "coverage";
/** The longest first, so that none of them is left alone at the end. */
const FIRST: readonly string[] = [
  "test/certs/certs.test.ts",
  "test/docs/readme.test.ts",
  "test/system/cli/token-files.test.ts",
  "test/system/cli/handover/supervise.test.ts",
  "test/system/cli/handover/upgrade.test.ts",
  "test/system/helix/sessions-parallel.test.ts",
  "test/runner/runner.test.ts",
  "test/clients/wolf.test.ts",
  "test/sandbox/clipboard.test.ts",
  "test/clients/sandbox.test.ts",
  "test/system/certificates/renewed.test.ts",
  "test/system/requests/parallel.test.ts",
  "test/system/cli/watchdog.test.ts",
  "test/system/cli/control-plane-restart.test.ts",
  "test/system/discovery/discovery.test.ts",
  "test/system/websocket/refused.test.ts",
  "test/traps/hostile-peers.test.ts",
  "test/traps/rapid-resets.test.ts",
  "test/traps/session-start-waits-for-writes.test.ts",
];

const { given, flags, isVerbose } = commandLine();
const isAll = given.length === 0;

provideParts(PARTS);

const all = globSync(["src/**/*.test.ts", "test/**/*.test.ts", "agents/**/*.test.ts"], {
  exclude: ["test/e2e/**", "test/docker/**", "test/fronts/**"], // `npm run e2e`, `npm run e2e:docker`, `npm run fronts`
}).toSorted();
const groups = isAll ? groupFiles(all, FIRST) : given;
if (isAll) rmSync(COVERAGE, { recursive: true, force: true });

process.exitCode = await runFiles(groups, {
  flags,
  // Many files wait for a time limit to run out, and need no core meanwhile.
  concurrency: isAll ? availableParallelism() + 3 : 1,
  testTimeoutMs: 120_000,
  fileTimeoutMs: 240_000,
  runTimeoutMs: 2_400_000,
  verbose: !isAll || isVerbose,
  env: isAll ? { NODE_V8_COVERAGE: `${COVERAGE}/tmp` } : {},
  whenDone: () => void (isAll && reportCoverage()),
});

function reportCoverage(): void {
  // `--all` would count their lines as uncovered, although no code is in them.
  const typeOnly = globSync("src/**/*.ts").filter((file) => isTypeOnly(readFileSync(file, "utf8")));
  run("c8", [
    "report",
    "--merge-async", // one process's figures at a time, else they take a gigabyte
    `--temp-directory=${COVERAGE}/tmp`,
    "--reporter=text-summary",
    "--reporter=lcov",
    "--all",
    "--include=src/**/*.ts",
    "--exclude=src/**/*.test.ts",
    "--exclude=src/index.ts",
    ...typeOnly.map((file) => `--exclude=${file}`),
  ]);
}
