/**
 * `npm test`: brings the real parts that tests need where that is possible (Debian, root), says by name what will be
 * skipped where it is not, and runs every test under c8.
 *
 *     node test/run.ts [FILE...]     some files only
 */
import { globSync } from "node:fs";
import { PARTS } from "./support/parts.ts";
import { provideParts, run } from "./support/provide-parts.ts";

provideParts(PARTS);

const given = process.argv.slice(2);
const files =
  given.length > 0
    ? given
    : globSync(["src/**/*.test.ts", "test/**/*.test.ts", "agents/**/*.test.ts"], {
        exclude: ["test/e2e/**", "test/docker/**", "test/fronts/**"], // `npm run e2e`, `npm run e2e:docker`, `npm run fronts`
      }).toSorted();
const tests = ["--test", "--test-timeout=120000", "--test-concurrency=2", ...files];
process.exitCode =
  given.length > 0
    ? run(process.execPath, tests)
    : run("c8", [
        "--reporter=text-summary",
        "--reporter=lcov",
        "--all",
        "--include=src/**/*.ts",
        "--exclude=src/**/*.test.ts",
        "--exclude=src/index.ts",
        process.execPath,
        ...tests,
      ]);
