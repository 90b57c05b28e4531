/**
 * The page of the control plane, out of `src/dashboard`, as files that a browser gets: one script, one style sheet, and what each
 * code of docs/errors.md means. Each is compressed here, once.
 */
import { createHash } from "node:crypto";
import { chmod, mkdtemp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { ROOT } from "./bundle.ts";
import { explanationsOf } from "./explanations.ts";
import { notices } from "./notices.ts";

const SOURCE = path.join(ROOT, "src/dashboard");
/** Of 2024: `light-dark()` and `Promise.withResolvers()`. */
const TARGET = ["chrome125", "firefox125", "safari17.5"];

/** Replaces the folder in one step: a control plane may read it meanwhile. @returns what the browser gets, in compressed bytes */
export async function buildPage(out: string): Promise<number> {
  const files = await pageFiles();
  await mkdir(path.dirname(out), { recursive: true });
  const fresh = await mkdtemp(`${out}-`);
  await chmod(fresh, 0o755); // who runs it is not always who has built it
  let compressed = 0;
  for (const [name, text] of files) {
    const bytes = Buffer.from(text);
    const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
    compressed += brotli.length;
    await writeFile(path.join(fresh, name), bytes);
    await writeFile(path.join(fresh, `${name}.br`), brotli);
    await writeFile(path.join(fresh, `${name}.gz`), gzipSync(bytes, { level: 9 }));
  }
  await rm(out, { recursive: true, force: true });
  try {
    await rename(fresh, out);
  } catch (error) {
    await rm(fresh, { recursive: true });
    // Another build has put the same there meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "ENOTEMPTY") throw error;
  }
  return compressed;
}

async function pageFiles(): Promise<Map<string, string>> {
  const explanations = JSON.stringify(
    explanationsOf(await readFile(path.join(ROOT, "docs/errors.md"), "utf8")),
  );
  const icon = await readFile(path.join(SOURCE, "icon.svg"), "utf8");
  const names = { explanations: named("errors", explanations, "json"), icon: named("icon", icon, "svg") };
  const { outputFiles, warnings, metafile } = await esbuild.build({
    absWorkingDir: ROOT,
    entryPoints: { page: "src/dashboard/main.tsx", style: "src/dashboard/style/main.css" },
    outdir: "page",
    entryNames: "[name]-[hash]",
    bundle: true,
    minify: true,
    format: "esm",
    target: TARGET,
    jsx: "automatic",
    jsxImportSource: "preact",
    tsconfigRaw: {}, // for the check of types alone, and not in images
    define: { EXPLANATIONS_FILE: JSON.stringify(names.explanations) },
    legalComments: "none", // in full in the notices
    // Images install the page's packages here, and none of the other development packages.
    nodePaths: [path.join(ROOT, "agents/packaging/node_modules")],
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  const [warning] = warnings;
  if (warning !== undefined) throw new Error(`${warning.location?.file}: ${warning.text}`);
  const files = new Map(outputFiles.map((file) => [path.basename(file.path), file.text]));
  const find = (extension: string): string =>
    `page/${[...files.keys()].find((name) => name.endsWith(extension)) ?? ""}`;
  const places: Readonly<Record<string, string>> = {
    script: find(".js"),
    style: find(".css"),
    icon: `page/${names.icon}`,
  };
  const template = await readFile(path.join(SOURCE, "index.html"), "utf8");
  files.set(
    "index.html",
    template.replaceAll(/\{\{(\w+)\}\}/g, (_all, name: string) => places[name] ?? ""),
  );
  files.set(names.explanations, explanations);
  files.set(names.icon, icon);
  files.set("THIRD-PARTY-NOTICES.txt", await notices(Object.keys(metafile.inputs)));
  return files;
}

function named(name: string, text: string, extension: string): string {
  return `${name}-${createHash("sha256").update(text).digest("hex").slice(0, 8)}.${extension}`;
}
