/** The screenshot server before a display, with a picture, and with displays that fail. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { firstPixel } from "../png-pixel.ts";
import { DEMO_COLOUR } from "../png.ts";
import { openSocket } from "../raw-exchange.ts";
import { DisplayError, NO_DISPLAY } from "./display.ts";
import { captureWithGrim, waylandSockets } from "./grim.ts";
import { coalesce, createScreenshotServer } from "./screenshot-server.ts";
import { startSandboxDisplay } from "./start.ts";

function get(port: number, path: string, method = "GET"): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { connection: "close" } });
}

test("serves a picture of a known colour, with its media type", async () => {
  const lines: string[] = [];
  await using display = await startSandboxDisplay({
    port: 0,
    kind: "picture",
    log: (line) => lines.push(line),
  });
  assert.equal(display.kind, "picture");
  const response = await get(display.port, "/screenshot?format=png");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "image/png");
  assert.equal(response.headers.get("cache-control"), "no-cache, no-store, must-revalidate");
  assert.equal(response.headers.get("x-turnabout-display"), "picture");
  assert.deepEqual(firstPixel(Buffer.from(await response.arrayBuffer())), DEMO_COLOUR);
  assert.match(lines.join("\n"), /^picture display on http:\/\/127\.0\.0\.1:\d+\/screenshot$/);
});

test("is healthy, and refuses other methods and paths", async () => {
  await using display = await startSandboxDisplay({ port: 0, kind: "picture" });
  assert.equal(await (await get(display.port, "/health")).text(), "OK");
  const posted = await get(display.port, "/screenshot", "POST");
  assert.equal(posted.status, 405);
  assert.equal(posted.headers.get("allow"), "GET");
  assert.equal((await get(display.port, "/clipboard")).status, 404);
});

test("closes its port, and can be closed twice", async () => {
  const display = await startSandboxDisplay({ port: 0, kind: "picture" });
  await display.close();
  await display.close();
  await assert.rejects(openSocket({ port: display.port, host: "127.0.0.1" }), { code: "ECONNREFUSED" });
});

test("responds 500 with Helix's text while there is no display, and stays healthy", async () => {
  const failures: unknown[] = [new DisplayError(NO_DISPLAY), new Error("internal detail")];
  const server = createScreenshotServer(() => ({
    kind: "sway",
    capture: () => Promise.reject(failures.shift()),
  }));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const starting = await get(port, "/screenshot");
  assert.equal(starting.status, 500);
  assert.equal(await starting.text(), "No Wayland sockets available\n");
  assert.equal(starting.headers.get("cache-control"), "no-cache, no-store, must-revalidate");
  assert.equal(await (await get(port, "/screenshot")).text(), "Failed to capture screenshot\n");
  assert.equal((await get(port, "/health")).status, 200);
  await once(server.close(), "close");
});

test("shows a picture if Sway is installed but does not start, and logs why", async () => {
  const folder = await mkdtemp(join(tmpdir(), "turnabout-fake-"));
  await chmod(folder, 0o755);
  await writeFile(join(folder, "sway"), "#!/bin/sh\necho no backend today >&2\nexit 1\n", { mode: 0o755 });
  await writeFile(join(folder, "grim"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  const path = process.env["PATH"] ?? "";
  const lines: string[] = [];
  const log = (line: string): number => lines.push(line);
  try {
    process.env["PATH"] = `${folder}:${path}`;
    const foldersBefore = await displayFolders();
    await assert.rejects(
      startSandboxDisplay({ port: 0, kind: "sway" }),
      /sway did not start: no backend today/,
    );
    await using display = await startSandboxDisplay({ port: 0, log });
    assert.equal(display.kind, "picture");
    assert.match(lines.join("\n"), /showing a picture \(sway did not start: no backend today\)/);
    assert.deepEqual(await displayFolders(), foldersBefore);
    process.env["PATH"] = join(folder, "nothing");
    await assert.rejects(
      startSandboxDisplay({ port: 0, kind: "sway" }),
      /not installed: sway, grim, setpriv/,
    );
  } finally {
    process.env["PATH"] = path;
    await rm(folder, { recursive: true });
  }
});

async function displayFolders(): Promise<string[]> {
  // Ours only: another test file may run a display at the same time.
  const names = await readdir(tmpdir());
  return names.filter((name) => name.startsWith(`turnabout-display-${process.pid}-`));
}

test("requests during a capture get that one; the next request gets a new one", async () => {
  const runs: PromiseWithResolvers<number>[] = [];
  const capture = coalesce(() => {
    const run = Promise.withResolvers<number>();
    runs.push(run);
    return run.promise;
  });
  const together = [capture(), capture(), capture()];
  assert.equal(runs.length, 1);
  runs[0]?.resolve(1);
  assert.deepEqual(await Promise.all(together), [1, 1, 1]);
  const failing = capture();
  assert.equal(runs.length, 2);
  runs[1]?.reject(new Error("no"));
  await assert.rejects(failing, /no/);
  const after = capture();
  runs[2]?.resolve(3);
  assert.equal(await after, 3);
});

test("finds sockets but not their lock files, and fails with Helix's text without any", async () => {
  const folder = await mkdtemp(join(tmpdir(), "turnabout-grim-"));
  try {
    await assert.rejects(captureWithGrim({ path: folder, user: {} }), new DisplayError(NO_DISPLAY));
    for (const name of ["wayland-1", "wayland-1.lock", "sway-ipc.sock"])
      await writeFile(join(folder, name), "");
    assert.deepEqual(await waylandSockets(folder), ["wayland-1"]);
    await assert.rejects(
      captureWithGrim({ path: folder, user: {} }),
      /^DisplayError: Failed to capture screenshot: ./,
    );
    await assert.rejects(waylandSockets(join(folder, "none")), /Failed to find Wayland sockets/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
