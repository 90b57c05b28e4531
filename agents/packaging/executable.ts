/** The agent as one program with Node in it: Node's own single executable application. */
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { bundle, ROOT } from "./bundle.ts";

const run = promisify(execFile);

/** @returns the executable's path */
export async function buildExecutable(): Promise<string> {
  const suffix = process.platform === "win32" ? ".exe" : "";
  const output = path.join(
    ROOT,
    "executables",
    `turnabout-agent-${process.platform}-${process.arch}${suffix}`,
  );
  await mkdir(path.dirname(output), { recursive: true });
  const work = await mkdtemp(path.join(tmpdir(), "turnabout-executable-"));
  try {
    const main = path.join(work, "main.mjs");
    await bundle({ entry: "src/cli/turnabout-agent.ts", outfile: main });
    const config = path.join(work, "sea.json");
    const settings = {
      main,
      mainFormat: "module",
      output,
      disableExperimentalSEAWarning: true,
      execArgvExtension: "env", // NODE_OPTIONS is heeded, as by `node`
    };
    await writeFile(config, JSON.stringify(settings));
    await run(process.execPath, ["--build-sea", config]);
    await chmod(output, 0o755);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return output;
}
