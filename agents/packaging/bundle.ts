/** Commands as one file each, without dependencies, for machines that have Node and nothing else. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import type { BuildResult, OnLoadResult, Plugin } from "esbuild";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

export interface BundleOptions {
  /** From the root: `src/cli/turnabout-agent.ts`. */
  entry: string;
  /** The whole path. A source map goes next to it. */
  outfile: string;
  /** Packages that stay outside. */
  external?: readonly string[];
}

/** Old enough that `requireNode()` runs and names the required version, in place of an error of syntax. */
const TARGET = "node20";

/** Optional native parts of ws, which it does without. */
const ABSENT = ["bufferutil", "utf-8-validate"];

/** What CommonJS packages expect of their surroundings, in an ES module. */
const REQUIRE =
  'import { createRequire as createRequireOfBundle } from "node:module";\nconst require = createRequireOfBundle(import.meta.url);';

/** @returns the files that went into it, from the root. @throws Error for a warning of esbuild's, too */
export async function bundle({ entry, outfile, external = [] }: BundleOptions): Promise<string[]> {
  const { warnings, metafile } = await esbuild.build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm", // with syntax that Node recognises, where no package.json says so
    target: TARGET,
    // Names stay: pino writes those of error classes.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "none", // in full in the notices
    sourcemap: "linked",
    sourcesContent: false,
    external: [...ABSENT, ...external],
    plugins: [selfContained],
    metafile: true,
    logLevel: "silent",
    banner: { js: REQUIRE },
  });
  assertNone(warnings, entry);
  return Object.keys(metafile.inputs);
}

function assertNone(warnings: BuildResult["warnings"], entry: string): void {
  const [first] = warnings;
  if (first === undefined) return;
  throw new Error(`${entry}: ${first.text} (${first.location?.file}:${first.location?.line})`);
}

/**
 * Node's own are required: an import reads each of their exports, and with those of `node:http` it loads Node's fetch, streams and
 * zlib, 16 MB that no agent uses. And so is OpenTelemetry,
 * which is loaded where a variable names a collector, from packages beside the bundle: an import would stand at the top.
 */
const REQUIRED = /^(node:|@opentelemetry\/)/;

/** The whole loads node:cluster, HTTP clients and quantiles with it: 6 MB of an idle agent. A name that is absent here fails the build. */
const PROM_CLIENT_PART = ["Counter", "Gauge", "Histogram", "Registry"]
  .map((name) => `export { default as ${name} } from "prom-client/lib/${name.toLowerCase()}.js";`)
  .join("\n");

/** Modules of ours that look for files at run time. */
const selfContained: Plugin = {
  name: "self-contained",
  setup(build) {
    build.onResolve({ filter: REQUIRED }, ({ path: name, kind }) => {
      if (kind !== "import-statement") return { path: name, external: true };
      return { path: name, namespace: "required" };
    });
    build.onLoad({ filter: REQUIRED, namespace: "required" }, ({ path: name }) => ({
      contents: `module.exports = require(${JSON.stringify(name)});`,
    }));
    build.onResolve({ filter: /^prom-client$/ }, ({ importer }) =>
      /[\\/]src[\\/]/.test(importer) ? { path: "prom-client", namespace: "part" } : undefined,
    );
    build.onLoad({ filter: /^prom-client$/, namespace: "part" }, () => ({
      contents: PROM_CLIENT_PART,
      resolveDir: ROOT,
    }));
    build.onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, async ({ path: file }) => {
      const name = path.relative(ROOT, file).replaceAll(path.sep, "/");
      return REPLACED[name]?.() ?? withPlainRequire(name, await readFile(file, "utf8"));
    });
  },
};

const REPLACED: Readonly<Record<string, () => Promise<OnLoadResult>>> = {
  "src/wire/version.ts": async () => {
    const { version } = JSON.parse(await readFile(path.join(ROOT, "package.json"), "utf8")) as {
      version: string;
    };
    return { contents: `export const VERSION = ${JSON.stringify(version)};` };
  },
  "src/cli/watchdog/thread-source.ts": async () => ({
    contents: `export const THREAD = ${JSON.stringify(await watchdogThread())};`,
  }),
};

/** As CommonJS, which a worker takes as text. */
async function watchdogThread(): Promise<string> {
  const { outputFiles, warnings } = await esbuild.build({
    absWorkingDir: ROOT,
    entryPoints: ["src/cli/watchdog/thread.ts"],
    bundle: true,
    platform: "node",
    format: "cjs",
    target: TARGET,
    minify: true,
    write: false,
    logLevel: "silent",
  });
  assertNone(warnings, "src/cli/watchdog/thread.ts");
  return outputFiles.map(({ text }) => text).join("");
}

/** esbuild follows `require("x")`, and not what `createRequire` returns. */
function withPlainRequire(name: string, text: string): OnLoadResult {
  const contents = text
    .replaceAll(/createRequire\(import\.meta\.url\)\(("[^"]+")\)/g, "require($1)")
    .replace('import { createRequire } from "node:module";', "");
  const left = /createRequire|import\.meta/.exec(contents)?.[0];
  if (left !== undefined)
    throw new Error(`${name}: ${left} does not work in a bundle (agents/packaging/bundle.ts)`);
  return { contents, loader: "ts" };
}
