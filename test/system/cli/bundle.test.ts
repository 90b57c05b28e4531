/** The agent as one file, in a folder with nothing else: on a machine that has Node and no packages. */
import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { createRemoteDial } from "../../../src/index.ts";
import { via } from "../../support/callers.ts";
import { runChild } from "../../support/child.ts";
import { Command } from "../../support/commands.ts";
import { ending, eventually, next, within } from "../../support/events.ts";
import { call, targetUrl } from "../../support/http.ts";
import { startMixedTarget } from "../../support/mixed-target.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, isConnected, startControlPlane } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";
import { openWebSocket } from "../../support/websockets.ts";

const PACKAGING = new URL("../../../agents/packaging/main.ts", import.meta.url);
const MODULES = fileURLToPath(new URL("../../../node_modules", import.meta.url));
/** Of Docker's engine API, SSH and gRPC. */
const HEAVY = /docker|ssh2|grpc|protobuf/;
const SPINNING = `data:text/javascript,${encodeURIComponent('process.on("SIGUSR2", () => { for (;;); })')}`;
/** What the process has loaded of Node, and what of files, is written at SIGUSR2. */
const LISTING = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from "node:module";
  const files = [];
  registerHooks({ load: (url, context, next) => { files.push(url); return next(url, context); } });
  process.on("SIGUSR2", () => console.log(JSON.stringify({ files, parts: process.moduleLoadList })));`)}`;

after(() => assertNothingOpen());

describe("the agent as one file", () => {
  const built = tempPath("");
  let alone: string;

  before(async () => {
    const { code, stderr } = await runChild(PACKAGING, ["bundles", built]);
    assert.equal(code, 0, stderr);
    alone = tempPath("");
    mkdirSync(alone);
    for (const name of ["turnabout-agent.js", "revdial-client.js", "wolf-revdial-client.js"])
      copyFileSync(path.join(built, name), path.join(alone, name));
  });

  function start(name: string, args: readonly string[], imported?: string): Command {
    const NODE_OPTIONS = imported === undefined ? undefined : `--import=${imported}`;
    const env = { TURNABOUT_TOKEN: ADMIN_TOKEN, TEST_HOOKS: undefined, NODE_OPTIONS };
    return new Command(pathToFileURL(path.join(alone, name)), args, { cwd: alone, env });
  }

  it("serves HTTP, WebSockets and CONNECT", async () => {
    await using controlPlane = await startControlPlane();
    await using target = await startMixedTarget();
    const url = `http://127.0.0.1:${controlPlane.port}`;
    const line = ["--server", url, "--runner", "r", "--target", `t=${target.address}`];
    await using agent = start("turnabout-agent.js", line);
    await eventually(() => isConnected(controlPlane, "r"), "its connection");
    assert.equal((await call(targetUrl(url, "r", "t", "/small"), { token: ADMIN_TOKEN })).body, "ok");
    {
      const to = { controlPlane, pki: undefined };
      await using socket = await openWebSocket("HTTP/1.1", to, via("/ws", "t", "r"));
      socket.socket.send("through the tunnel");
      assert.equal(await socket.text(), "through the tunnel");
    }
    const tunnel = await createRemoteDial({ server: url, token: ADMIN_TOKEN })("r", "t");
    tunnel.end("GET /small HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    assert.match((await ending(tunnel)).data.toString(), /^HTTP\/1\.1 200 OK\r\n[^]*ok$/);
    assert.deepEqual(await agent.end(), { code: 0, signal: null });
  });

  for (const [carrier, name] of [
    ["websocket", "revdial-client.js"],
    ["ptth", "wolf-revdial-client.js"],
  ] as const) {
    it(`has Helix's commands the same way: ${name} by ${carrier}`, async () => {
      await using controlPlane = await startControlPlane();
      const server = `http://127.0.0.1:${controlPlane.port}`;
      const line =
        name === "revdial-client.js"
          ? ["-server", server, "-runner-id", "wolf-1", "-token", ADMIN_TOKEN, "-carrier", carrier]
          : ["-api-url", server, "-wolf-id", "1", "-token", ADMIN_TOKEN];
      await using agent = start(name, line);
      await eventually(() => isConnected(controlPlane, "wolf-1"), "its connection");
      assert.deepEqual(await agent.end(), { code: 0, signal: null });
    });
  }

  it("ends when its main thread is stuck: the watchdog is in it", async () => {
    const line = ["--server", "http://127.0.0.1:9", "--runner", "r", "--target", "t=127.0.0.1:9"];
    await using agent = start("turnabout-agent.js", [...line, "--watchdog", "1"], SPINNING);
    await agent.logged(/./);
    agent.signal("SIGUSR2");
    const { signal } = await within(agent.exited, "its end", 90_000);
    assert.equal(signal, "SIGABRT");
    await agent.logged("watchdog: the main thread is stuck in a loop; ending the process");
  });

  it("loads no code for Docker, SSH or gRPC, no cluster, no fetch and no compiler", async () => {
    const line = ["--server", "http://127.0.0.1:9", "--runner", "r", "--target", "t=127.0.0.1:9"];
    await using agent = start("turnabout-agent.js", line, LISTING);
    await agent.logged(/./);
    agent.signal("SIGUSR2");
    await next(agent.child.stdout ?? assert.fail(), "data");
    const { files, parts } = JSON.parse(agent.stdout) as Record<"files" | "parts", string[]>;
    assert.deepEqual(
      files
        .filter((file) => !file.startsWith("node:"))
        .map((file) => path.basename(file))
        .filter((file) => file !== "hooks.mjs"), // of the runner of these tests
      ["turnabout-agent.js"],
    );
    assert.ok(parts.includes("NativeModule http2"));
    assert.deepEqual(
      parts.filter((part) => /NativeModule (cluster|zlib|internal\/deps\/(amaro|undici))/.test(part)),
      [],
    );
    await agent.end("SIGKILL");
  });

  it("contains no such code, and a source map and the licences of what it contains are next to it", () => {
    const map = JSON.parse(readFileSync(path.join(built, "turnabout-agent.js.map"), "utf8")) as {
      sources: string[];
    };
    assert.ok(map.sources.some((source) => source.endsWith("src/agent/agent.ts")));
    // Half a megabyte of texts in languages that nobody chooses.
    assert.ok(!map.sources.some((source) => /zod\/.*\/locales\/(?!en\b|index\b)/.test(source)));
    const packages = map.sources.flatMap(
      (source) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1] ?? [],
    );
    assert.deepEqual(
      packages.filter((name) => HEAVY.test(name)),
      [],
    );
    const notices = readFileSync(path.join(built, "THIRD-PARTY-NOTICES.txt"), "utf8");
    // A package's own source map may name files that are not there.
    const present = [...new Set(packages)].filter((name) => existsSync(path.join(MODULES, name)));
    assert.ok(present.length > 10, present.join(" "));
    const missing = present.filter((name) => !new RegExp(`^${name} \\d`, "m").test(notices));
    assert.deepEqual(missing, []);
  });
});
