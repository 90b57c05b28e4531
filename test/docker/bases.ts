/**
 * Base images without a registry: Debian by debootstrap, Node as it runs these tests. What takes long is made once for
 * what goes into it, and kept outside the repository.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync, realpathSync, statSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Engine } from "./engine.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MAKE = fileURLToPath(new URL("bases/make.sh", import.meta.url));
const CACHE = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "turnabout-e2e");

/** A minute or two alone; the rest is for a slow mirror. */
const MAKE_TIMEOUT_MS = 900_000;
/** Of each kind, by the time of their last use: a gigabyte for the root file systems. */
const MAX_KEPT = 2;

/** Images that are given as build arguments of these names. */
export const BASES = {
  NODE_IMAGE: "turnabout-base-node",
  DESKTOP_IMAGE: "turnabout-base-sandbox",
  WOLF_IMAGE: "turnabout-base-wolf",
  MOONLIGHT_IMAGE: "turnabout-base-moonlight",
} as const;

const BARE_NODE = "turnabout-base-node-bare";
const DEBIAN_FOR_WOLF = "turnabout-base-wolf-debian";

const run = promisify(execFile);

/** Makes all of {@link BASES} known to the engine. */
export async function importBases(engine: Engine): Promise<void> {
  const roots = await makeRoots();
  for (const [file, image] of [
    ["node", BARE_NODE],
    ["wolf", DEBIAN_FOR_WOLF],
    ["sandbox", BASES.DESKTOP_IMAGE],
  ] as const) {
    await engine.command("docker", ["import", join(roots, `${file}.tar`), image]);
  }
  const folder = join(engine.folder, "node-base");
  await mkdir(folder);
  await copyFile(await fillNpmCache(), join(folder, "npm.tar"));
  const recipe = `FROM ${BARE_NODE}\nADD npm.tar /root/.npm\nENV npm_config_offline=true npm_config_update_notifier=false\n`;
  await engine.command("docker", ["build", "-q", "-t", BASES.NODE_IMAGE, "-f", "-", folder], {
    input: recipe,
  });
  for (const [target, image] of [
    ["wolf", BASES.WOLF_IMAGE],
    ["moonlight", BASES.MOONLIGHT_IMAGE],
  ] as const) {
    const line = ["build", "-q", "-f", "test/docker/doubles/Dockerfile", "--target", target, "-t", image];
    for (const argument of [`NODE_IMAGE=${BASES.NODE_IMAGE}`, `DEBIAN_IMAGE=${DEBIAN_FOR_WOLF}`]) {
      line.push("--build-arg", argument);
    }
    await engine.command("docker", [...line, "."], { cwd: ROOT });
  }
}

/** @returns the folder with the root file systems */
async function makeRoots(): Promise<string> {
  const npm = npmFolder();
  const folder = await cached("roots", [process.version, process.arch], [MAKE, join(npm, "package.json")]);
  await run("bash", [MAKE, folder, process.execPath, npm], {
    timeout: MAKE_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  return folder;
}

/** What `npm ci` in the images is going to ask for. @returns a tar */
async function fillNpmCache(): Promise<string> {
  const projects = [".", "agents/sandbox", "agents/packaging", "test/docker/doubles"].map((folder) =>
    join(ROOT, folder),
  );
  const manifests = projects.flatMap((project) =>
    ["package.json", "package-lock.json"].map((name) => join(project, name)),
  );
  const folder = await cached("npm", [], manifests);
  const tar = join(folder, "npm.tar");
  if (existsSync(tar)) return tar;
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, "work-"));
  const env = { ...process.env, npm_config_cache: join(work, "cache"), NODE_ENV: undefined };
  for (const [index, project] of projects.entries()) {
    const cwd = join(work, String(index));
    await mkdir(cwd);
    for (const name of ["package.json", "package-lock.json"])
      await copyFile(join(project, name), join(cwd, name));
    const line = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"];
    await run("npm", line, { cwd, env, timeout: MAKE_TIMEOUT_MS });
  }
  await run("tar", ["-C", join(work, "cache"), "-cf", join(work, "npm.tar"), "."]);
  await rename(join(work, "npm.tar"), tar);
  await rm(work, { recursive: true, force: true });
  return tar;
}

/** A folder of its own for what `parts` and the contents of `files` lead to; the oldest others go. */
async function cached(kind: string, parts: readonly string[], files: readonly string[]): Promise<string> {
  const hash = createHash("sha256").update(parts.join("\n"));
  for (const file of files) hash.update(await readFile(file));
  const folder = join(CACHE, `${kind}-${hash.digest("hex").slice(0, 16)}`);
  const others = globSync(`${CACHE}/${kind}-*`).filter((other) => other !== folder);
  const newestFirst = others.toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const old of newestFirst.slice(MAX_KEPT)) await rm(old, { recursive: true, force: true });
  return folder;
}

/** Where npm is installed: as `npm run` says, or by PATH. */
function npmFolder(): string {
  const inPath = (process.env["PATH"] ?? "").split(":").map((folder) => join(folder, "npm"));
  for (const candidate of [process.env["npm_execpath"] ?? "", ...inPath]) {
    if (!existsSync(candidate)) continue;
    const path = realpathSync(candidate);
    if (path.endsWith("/bin/npm-cli.js")) return dirname(dirname(path));
  }
  throw new Error("npm is not in PATH: it goes into a base image");
}
