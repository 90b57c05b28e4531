/** The host of `helix-guide.test.ts`, alone in its namespaces: Wolf and Moonlight Web are where the guide says. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fences, readDocument } from "../docs/markdown.ts";
import { WolfHost } from "./host/host.ts";
import { look } from "./pictures.ts";
import { until } from "./steps.ts";

const PROGRAMS = ["turnabout", "revdial-client", "wolf-revdial-client"];

function sh(...line: string[]): void {
  const { status, stderr } = spawnSync(line[0] ?? "", line.slice(1), { encoding: "utf8" });
  assert.equal(status, 0, `${line.join(" ")}: ${stderr}`);
}

// Private, and removed with this process.
sh("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run");
sh("ip", "link", "set", "lo", "up");
await mkdir("/run/wolf");
const folder = "/run/guide";
const scratch = join(folder, "tmp");
await mkdir(scratch, { recursive: true });
await chmod(scratch, 0o1777);
await writeFile(join(folder, "hosts"), "127.0.0.1 localhost api.example.com\n");
sh("mount", "--bind", join(folder, "hosts"), "/etc/hosts");
const bin = join(folder, "bin");
await mkdir(bin);
for (const name of PROGRAMS) {
  const script = fileURLToPath(new URL(`../../src/cli/${name}.ts`, import.meta.url));
  await writeFile(join(bin, name), `#!/bin/sh\nexec ${process.execPath} ${script} "$@"\n`);
  await chmod(join(bin, name), 0o755);
}

await using host = await WolfHost.start({
  wolfSocket: "/var/run/wolf/wolf.sock",
  moonlightPort: 8_080,
  credentials: "helix",
  env: { TMPDIR: scratch },
});
const work = join(folder, "work");
await mkdir(work);
const blocks = fences(readDocument("docs/helix.md")).filter(({ info }) => info === "sh run");
assert.ok(blocks.length > 8);
const script = blocks.map(({ body, line }) => `echo "docs/helix.md:${line}" >&2\n${body}`).join("\n");
const guide = spawn("bash", ["-eu", "-o", "pipefail", "-c", script], {
  cwd: work,
  stdio: ["ignore", "inherit", "inherit"],
  env: { PATH: `${bin}:${process.env["PATH"]}`, HOME: folder, TMPDIR: scratch },
});
const ended = once(guide, "exit");

// The sandbox's start script goes on by itself.
const started = await Promise.race([
  host.until("the guide has made a session", (view) => view.sandboxes.length > 0, 60_000),
  ended.then(([code]) => assert.fail(`the guide has ended without a session (${code})`)),
]);
const session = started.sandboxes[0]?.session ?? "";
for (const stage of ["server", "desktop"] as const) await host.call("proceed", session, stage);

const [code, signal] = (await ended) as [number | null, NodeJS.Signals | null];
assert.equal(signal ?? code, 0);
const screenshot = await look(await readFile(join(work, "screenshot.png")));
assert.deepEqual({ width: screenshot.width, height: screenshot.height }, { width: 1_280, height: 720 });
await until("the session's lobby is gone", async () => (await host.view()).wolf.lobbies.length === 0);
process.exit(0); // what the guide has left running ends with us
