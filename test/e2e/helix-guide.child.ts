/** The host of `helix-guide.test.ts`, alone in its namespaces: Wolf and Moonlight Web are where the guide says. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fences, readDocument } from "../docs/markdown.ts";
import { WolfHost } from "./host/host.ts";
import { COLOUR } from "./host/sandbox.ts";
import { look } from "./pictures.ts";
import { until } from "./steps.ts";

const PROGRAMS = ["turnabout", "revdial-client", "wolf-revdial-client"];

function sh(...line: string[]): void {
  const { status, stderr } = spawnSync(line[0] ?? "", line.slice(1), { encoding: "utf8" });
  assert.equal(status, 0, `${line.join(" ")}: ${stderr}`);
}

const folder = await mkdtemp(join(tmpdir(), "turnabout-e2e-guide-"));
await chmod(folder, 0o711);
sh("ip", "link", "set", "lo", "up");
sh("mount", "-t", "tmpfs", "tmpfs", "/run");
await mkdir("/run/wolf");
await writeFile(join(folder, "hosts"), "127.0.0.1 localhost api.example.com\n");
sh("mount", "--bind", join(folder, "hosts"), "/etc/hosts");
const bin = join(folder, "bin");
await mkdir(bin);
for (const name of PROGRAMS) {
  const script = fileURLToPath(new URL(`../../src/cli/${name}.ts`, import.meta.url));
  await writeFile(join(bin, name), `#!/bin/sh\nexec ${process.execPath} ${script} --log-level warn "$@"\n`);
  await chmod(join(bin, name), 0o755);
}

/** `turnabout` takes its options behind the subcommand. */
const turnabout = fileURLToPath(new URL("../../src/cli/turnabout.ts", import.meta.url));
await writeFile(join(bin, "turnabout"), `#!/bin/sh\nexec ${process.execPath} ${turnabout} "$@"\n`);

await using host = await WolfHost.start({
  wolfSocket: "/var/run/wolf/wolf.sock",
  moonlightPort: 8_080,
  credentials: "helix",
});
const work = join(folder, "work");
await mkdir(work);
const blocks = fences(readDocument("docs/helix.md")).filter(({ info }) => info === "sh run");
assert.ok(blocks.length > 8);
const script = blocks.map(({ body, line }) => `echo "docs/helix.md:${line}" >&2\n${body}`).join("\n");
const guide = spawn("bash", ["-eu", "-o", "pipefail", "-c", script], {
  cwd: work,
  stdio: ["ignore", "inherit", "inherit"],
  env: { PATH: `${bin}:${process.env["PATH"]}`, HOME: folder },
});
const ended = once(guide, "exit");

// The sandbox's start script goes on by itself.
const started = await host.until("the guide has made a session", (view) => view.sandboxes.length > 0, 60_000);
const session = started.sandboxes[0]?.session ?? "";
for (const stage of ["server", "desktop"] as const) await host.call("proceed", session, stage);

const [code, signal] = (await ended) as [number | null, NodeJS.Signals | null];
assert.equal(signal ?? code, 0);
const screenshot = await look(await readFile(join(work, "screenshot.png")));
assert.deepEqual({ width: screenshot.width, height: screenshot.height }, { width: 1_280, height: 720 });
console.log("screenshot", JSON.stringify(screenshot.at(0.25, 0.5)), JSON.stringify(COLOUR));
await until("the session's lobby is gone", async () => (await host.view()).wolf.lobbies.length === 0);
process.exit(0); // what the guide has left running ends with us
