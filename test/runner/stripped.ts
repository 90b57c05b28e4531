/** Types stripped once a run, instead of in each of its some five hundred processes. */
import { createHash } from "node:crypto";
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Brings the cache up to date. Positions in the files stay as they are, so that coverage and stacks fit.
 *
 * @returns what `--import` takes in all our processes
 */
export function stripSources(): string {
  const folder = cacheFolder();
  const hooks = join(folder, "hooks.mjs");
  write(hooks, stripTypeScriptTypes(readFileSync(join(import.meta.dirname, "hooks.ts"), "utf8")));
  const wanted = new Set(["hooks.mjs"]);
  for (const path of globSync("{src,test,agents,certs}/**/*.ts", { cwd: ROOT })) {
    const source = readFileSync(join(ROOT, path));
    const name = `${createHash("sha256").update(source).digest("hex")}.mjs`;
    wanted.add(name);
    if (!existsSync(join(folder, name))) write(join(folder, name), stripTypeScriptTypes(source.toString()));
  }
  for (const name of readdirSync(folder)) {
    if (name.endsWith(".mjs") && !wanted.has(name)) rmSync(join(folder, name), { force: true });
  }
  return hooks;
}

function cacheFolder(): string {
  const kept = join(ROOT, "node_modules/.cache/turnabout-tests", process.version);
  try {
    mkdirSync(kept, { recursive: true });
    write(join(kept, "writable"), "");
    return kept;
  } catch {
    // node_modules is another user's
    const own = mkdtempSync(join(tmpdir(), "turnabout-tests-"));
    process.once("exit", () => rmSync(own, { recursive: true, force: true }));
    return own;
  }
}

/** Another run may read at the same time. */
function write(path: string, text: string): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}
