/**
 * What is built besides dist/'s modules:
 *
 *     node agents/packaging/main.ts bundles [FOLDER]   commands as one file each, and their notices; default dist
 *     node agents/packaging/main.ts page [FOLDER]      the page of the control plane; default dist/page
 *     node agents/packaging/main.ts executable         the agent with Node in it, in executables/
 *     node agents/packaging/main.ts sandbox-server FOLDER   the sandbox image's server as one file
 */
import { chmod, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { bundle, ROOT } from "./bundle.ts";
import { buildExecutable } from "./executable.ts";
import { notices } from "./notices.ts";
import { buildPage } from "./page.ts";

const COMMANDS = ["turnabout-agent", "revdial-client", "wolf-revdial-client"];

const [what, folder = what === "page" ? "dist/page" : "dist"] = process.argv.slice(2);
if (what === "bundles") await buildBundles(path.resolve(ROOT, folder));
else if (what === "page") await buildPage(path.resolve(ROOT, folder));
else if (what === "sandbox-server") await buildSandboxServer(path.resolve(ROOT, folder));
else if (what === "executable") process.stdout.write(`${await buildExecutable()}\n`);
else
  throw new Error(
    "usage: node agents/packaging/main.ts bundles [FOLDER] | page [FOLDER] | executable | sandbox-server FOLDER",
  );

async function buildBundles(out: string): Promise<void> {
  await mkdir(out, { recursive: true });
  const inputs = new Set<string>();
  for (const name of COMMANDS) {
    const outfile = path.join(out, `${name}.js`);
    const used = await bundle({ entry: `src/cli/${name}.ts`, outfile });
    await chmod(outfile, 0o755);
    for (const input of used) inputs.add(input);
  }
  await writeFile(path.join(out, "THIRD-PARTY-NOTICES.txt"), await notices([...inputs]));
}

async function buildSandboxServer(out: string): Promise<void> {
  await mkdir(out, { recursive: true });
  const inputs = await bundle({
    entry: "agents/sandbox/server/main.ts",
    outfile: path.join(out, "sandbox-server.js"),
    external: ["sharp"], // a native module
  });
  await writeFile(path.join(out, "THIRD-PARTY-NOTICES-sandbox-server.txt"), await notices(inputs));
}
