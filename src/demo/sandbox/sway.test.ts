/** A real headless Sway: what it shows, and that it leaves nothing behind, however the process ends. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { firstPixel } from "../png-pixel.ts";
import { DEMO_COLOUR } from "../png.ts";
import { missingPrograms } from "./programs.ts";
import { startSandboxDisplay } from "./start.ts";

const missing = await missingPrograms();
// On a developer's machine a missing desktop is no fault; where it has to be installed it is one.
const skip =
  missing.length > 0 && process.env["CI"] !== "true" ? `not installed: ${missing.join(", ")}` : false;

/** Processes that live in the display's folder, Sway's own children included. */
function processesIn(folder: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/environ`, "utf8").includes(`XDG_RUNTIME_DIR=${folder}/`);
    } catch {
      return false;
    }
  });
}

/** An orphaned process emits no event at its end, so it is polled. */
async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await isTrue())) {
    assert.ok(Date.now() < deadline, `never: ${what}`);
    await delay(10);
  }
}

function folderIn(lines: readonly string[]): string {
  const folder = /sway runs headless as process \d+ in (\S+)/.exec(lines.join("\n"))?.[1];
  assert.ok(folder !== undefined, lines.join("\n"));
  return folder;
}

test("shows a real desktop in the demo's colour, and leaves nothing behind", { skip }, async () => {
  const lines: string[] = [];
  const display = await startSandboxDisplay({ port: 0, kind: "sway", log: (line) => lines.push(line) });
  const folder = folderIn(lines);
  try {
    assert.equal(display.kind, "sway");
    assert.ok(processesIn(folder).length > 0);
    const screenshot = (): Promise<Response> =>
      fetch(`http://127.0.0.1:${display.port}/screenshot`, { headers: { connection: "close" } });
    const first = await screenshot();
    assert.equal(first.status, 200);
    assert.equal(first.headers.get("x-turnabout-display"), "sway");
    await first.arrayBuffer();
    // The background is drawn by a client of its own, shortly after the display is up.
    await until("the background is drawn", async () => {
      const { red, green, blue } = firstPixel(Buffer.from(await (await screenshot()).arrayBuffer()));
      return red === DEMO_COLOUR.red && green === DEMO_COLOUR.green && blue === DEMO_COLOUR.blue;
    });
    const together = await Promise.all(Array.from({ length: 8 }, () => screenshot()));
    for (const response of together) {
      assert.equal(response.status, 200);
      assert.ok((await response.arrayBuffer()).byteLength > 1_000);
    }
  } finally {
    await display.close();
  }
  assert.deepEqual(processesIn(folder), []);
  assert.equal(existsSync(folder), false);
});

/** Another process that starts a display; it ends as the test wants. */
async function startElsewhere(): Promise<{ child: ChildProcess; folder: string }> {
  const start = fileURLToPath(new URL("start.ts", import.meta.url));
  const script = `
    import { startSandboxDisplay } from ${JSON.stringify(start)};
    await startSandboxDisplay({ port: 0, kind: "sway", log: console.log });
    process.stdin.once("data", () => process.exit(0));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  assert.ok(child.stdout !== null);
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    if (line.startsWith("sway display on")) break;
  }
  return { child, folder: folderIn(lines) };
}

test("process.exit ends the display", { skip }, async () => {
  const { child, folder } = await startElsewhere();
  assert.ok(processesIn(folder).length > 0);
  child.stdin?.write("exit\n");
  await once(child, "exit");
  await until("everything has ended", () => processesIn(folder).length === 0);
  assert.equal(existsSync(folder), false);
});

test("Sway ends even if the process is killed", { skip }, async () => {
  const { child, folder } = await startElsewhere();
  assert.ok(processesIn(folder).length > 0);
  child.kill("SIGKILL");
  await once(child, "exit");
  await until("everything has ended", () => processesIn(folder).length === 0);
  // No process was left to remove the files.
  await rm(folder, { recursive: true });
});
