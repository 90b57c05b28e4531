/** The server as the container runs it: a process of an ordinary user. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { next, within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { fileWith, skipWithoutDesktop, startDesktop, until } from "./desktop.ts";
import type { Desktop } from "./desktop.ts";
import { startServer } from "./server.ts";

const MAIN = fileURLToPath(new URL("../../agents/sandbox/server/main.ts", import.meta.url));
const skip = skipWithoutDesktop;

interface Running {
  child: ChildProcess;
  port: number;
}

async function startMain(desktop: Desktop, env: Record<string, string> = {}): Promise<Running> {
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? [`--reuid=${desktop.uid}`, `--regid=${desktop.uid}`, "--clear-groups"] : [];
  const child = spawn("setpriv", [...user, "--no-new-privs", process.execPath, MAIN], {
    env: { ...desktop.env, SCREENSHOT_PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const lines: string[] = [];
  child.once("close", () => reject(new Error("it has ended")));
  const reader = createInterface(child.stderr);
  reader.on("line", (line) => {
    lines.push(line);
    const port = /"port":(\d+)/.exec(line)?.[1];
    if (port !== undefined) resolve(Number(port));
  });
  try {
    return { child, port: await within(promise, "its port") };
  } catch (error) {
    child.kill("SIGKILL");
    throw new Error(lines.join("\n"), { cause: error });
  }
}

test(
  "serves an ordinary user's desktop, survives closed outputs and bad requests, and ends on SIGTERM",
  { skip },
  async () => {
    await using desktop = await startDesktop();
    const { child, port } = await startMain(desktop);
    const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}${path}`, { ...init, headers: { connection: "close" } });
    try {
      // The reader of its log has gone.
      child.stdout?.destroy();
      child.stderr?.destroy();
      for (const path of ["/nothing", "/%ff%", "/screenshot?quality=%", "//", "/upload"]) {
        const response = await ask(path, { method: "POST", body: "x" });
        assert.ok(response.status >= 400 && response.status < 500, `${path}: ${response.status}`);
        await response.text();
      }
      for (const garbage of [
        "GET\r\n\r\n",
        "GET /ws/nothing HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
      ]) {
        const socket = connect(port, "127.0.0.1");
        socket.end(garbage);
        socket.resume();
        await next(socket, "close");
      }
      assert.equal(await (await ask("/health")).text(), "OK");
      const picture = await ask("/screenshot?format=png");
      assert.equal(picture.status, 200);
      assert.ok((await picture.arrayBuffer()).byteLength > 1_000);
      await ask("/clipboard", { method: "POST", body: JSON.stringify({ type: "text", data: "mine" }) });
      assert.equal((await desktop.run("wl-paste", ["-n"])).toString("utf8"), "mine");
      const form = new FormData();
      form.set("file", new Blob(["x"]), "f");
      const stored = await ask("/upload?open_file_manager=false", { method: "POST", body: form });
      const path = join(desktop.folder, "work", "incoming", "f");
      assert.deepEqual(await stored.json(), { path, size: 1, filename: "f" });
      await fileWith(path, (text) => text === "x");
      await ask("/input", {
        method: "POST",
        body: JSON.stringify({ type: "key", keycode: 30, state: true }),
      });
      const exited = next<[number | null, string | null]>(child, "exit");
      child.kill("SIGTERM");
      assert.deepEqual(await exited, [0, null]);
      for (const name of ["wtype", "wl-paste", "grim"]) {
        assert.deepEqual(await desktop.processes(name), [], `${name} is left`);
      }
      await until("only Sway's own are left", async () => (await desktop.processes("node")).length === 0);
    } finally {
      child.kill("SIGKILL");
    }
  },
);

test("its child processes end with it, even if it is killed", { skip }, async () => {
  await using desktop = await startDesktop();
  const { child, port } = await startMain(desktop);
  const listener = new WebSocket(`ws://127.0.0.1:${port}/ws/clipboard`);
  listener.on("error", () => {});
  await next(listener, "message");
  await fetch(`http://127.0.0.1:${port}/input`, {
    method: "POST",
    body: JSON.stringify({ type: "key", keycode: 30, state: true }),
    headers: { connection: "close" },
  });
  const count = async (): Promise<number> =>
    (await desktop.processes("wtype")).length + (await desktop.processes("wl-paste")).length;
  await until("both run", async () => (await count()) === 2);
  const exited = next(child, "exit");
  child.kill("SIGKILL");
  await exited;
  await until("both have ended", async () => (await count()) === 0);
});

test("reports why it does not start", { skip }, async () => {
  await using desktop = await startDesktop();
  await assert.rejects(
    startMain(desktop, { SCREENSHOT_PORT: "99999" }),
    /SCREENSHOT_PORT=99999 is not a port/,
  );
});

test("closes with listeners on it, and leaves nothing open", { skip }, async () => {
  {
    await using desktop = await startDesktop();
    const server = await startServer({ runtimeFolder: desktop.runtimeFolder });
    const listener = await server.connect("/ws/clipboard");
    await listener.message();
    const sender = await server.connect("/ws/input");
    await (await server.request("/screenshot")).arrayBuffer();
    await server.post("/input", { type: "key", keycode: 30, state: true });
    await server.server.close();
    await server.server.close();
    assert.equal((await listener.closed).code, 1001);
    assert.equal((await sender.closed).code, 1001);
    for (const name of ["wtype", "wl-paste", "grim"]) assert.deepEqual(await desktop.processes(name), []);
  }
  await assertNothingOpen();
});

test("keeps out pages that the desktop's browser shows, and lets the control plane's callers in", async () => {
  await using server = await startServer({ runtimeFolder: "/nonexistent", execAllowed: ["echo"] });
  const { port } = server.server;
  const exec = async (headers: Record<string, string>): Promise<number> => {
    const request = http.request({
      port,
      host: "127.0.0.1",
      method: "POST",
      path: "/exec",
      agent: false,
      headers,
    });
    request.end(JSON.stringify({ command: ["echo"] }));
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    response.resume();
    await once(response, "close");
    return response.statusCode ?? 0;
  };
  const rebound = `evil.example:${port}`;
  for (const [headers, status] of [
    // Through the tunnel, a browser's caller with its fields or none.
    [{ host: "localhost" }, 200],
    [{ host: "localhost", origin: "https://cp.example", "sec-fetch-site": "same-origin" }, 200],
    // Beside it, and through the forward proxy.
    [{}, 200],
    [{ host: `127.0.0.1:${port}` }, 200],
    [{ host: `[::1]:${port}` }, 200],
    [{ host: `localhost:${port}`, "sec-fetch-site": "none" }, 200],
    [{ host: "sandbox:9876" }, 200],
    [{ host: "screenshot.sandbox-ses_1" }, 200],
    // A page of another origin.
    [{ origin: "https://evil.example" }, 403],
    [{ origin: `http://127.0.0.1:${port}` }, 403],
    [{ host: `localhost:${port}`, origin: "https://evil.example" }, 403],
    [{ host: `localhost:${port}`, "sec-fetch-site": "cross-site" }, 403],
    [{ host: `localhost:${port}`, origin: `http://localhost:${port}`, "x-forwarded-host": "a" }, 403],
    [{ host: "screenshot.sandbox-ses_1", origin: "https://evil.example" }, 403],
    // A page whose name points here: it is of our origin, and may set what it likes.
    [{ host: rebound }, 403],
    [{ host: rebound, origin: `http://${rebound}`, "x-forwarded-host": "a" }, 403],
    [{ host: rebound, "x-forwarded-host": "localhost", via: "1.1 turnabout", "sec-fetch-site": "none" }, 403],
    [{ host: "localhost.evil.example" }, 403],
    [{ host: "evil.example.sandbox-1" }, 403],
    [{ host: "screenshot.sandbox-1.evil.example" }, 403],
    [{ host: "127.0.0.1.evil.example" }, 403],
    [{ host: "evil.example." }, 403],
  ] as const) {
    assert.equal(await exec(headers), status, JSON.stringify(headers));
  }
  const connect = (headers: Record<string, string>, origin?: string) =>
    server.connect("/ws/input", { headers, ...(origin !== undefined && { origin }) });
  for (const headers of [{}, { host: rebound }]) {
    await assert.rejects(within(connect(headers, "https://evil.example"), "a refusal", 500));
  }
  await assert.rejects(within(connect({ host: rebound }), "a refusal", 500));
  const viewer = await connect({ host: "localhost" }, "https://cp.example");
  viewer.socket.close();
  await viewer.closed;
  assert.equal((await server.request("/nothing")).status, 404);
});
