/**
 * `npm test`: brings the real parts that tests need where that is possible (Debian, root), says by name what will be
 * skipped where it is not, and runs every test under c8.
 *
 *     node test/run.ts [FILE...]     some files only
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { isInstalled, PARTS } from "./support/parts.ts";

const inCi = process.env["CI"] === "true";

function run(command: string, args: readonly string[]): number {
  const { status, error } = spawnSync(command, args, { stdio: "inherit" });
  if (error !== undefined) console.error(`${command}: ${error.message}`);
  return status ?? 1;
}

function absent(): (typeof PARTS)[number][] {
  return PARTS.filter(({ name }) => !isInstalled(name));
}

/** Retried once: a mirror may hiccup; an assertion never is. */
function install(): void {
  const packages = absent().flatMap((part) => part.packages);
  if (packages.length === 0 || process.getuid?.() !== 0 || !isInstalled("apt-get")) return;
  console.log(`installing what the tests run for real: ${packages.join(" ")}`);
  process.env["DEBIAN_FRONTEND"] = "noninteractive";
  for (let attempt = 1; attempt <= 2; attempt += 1) {
    run("apt-get", ["update", "-qq"]);
    if (run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages]) === 0) return;
  }
}

install();
for (const { name, packages, why } of absent()) {
  console.log(
    `missing: ${name} (${why}); Debian: apt-get install ${packages.join(" ")}; its tests are skipped`,
  );
}
if (inCi && absent().length > 0) {
  console.error("error: in CI every part must be there");
  process.exit(1);
}

const given = process.argv.slice(2);
const files =
  given.length > 0
    ? given
    : globSync(["src/**/*.test.ts", "test/**/*.test.ts", "agents/**/*.test.ts"]).toSorted();
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
