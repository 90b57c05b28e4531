/**
 * Runs what README.md, docs/operations.md and docs/library.md tell a reader to run. Blocks are marked by their info string:
 *
 *     sh start   the command that starts the demo (`npm ci &&` is left out: whoever runs this test has done it)
 *     sh run     a shell block; the blocks of a document share a folder, and `&` goes on until its end
 *     ts run     a whole program, type-checked and run
 *
 * Ports of the text are replaced by free ones; nothing else is changed.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { nodeFlags } from "../support/commands.ts";
import { eventually, within } from "../support/events.ts";
import { fences, readDocument, ROOT } from "./markdown.ts";
import type { Fence } from "./markdown.ts";

const BLOCK_TIMEOUT_MS = 100_000;

/** `.` keeps other tools' globs out. */
const SNIPPETS = path.join(ROOT, "test/docs/.snippets");

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Everything that a document's blocks share. */
class Workplace {
  readonly folder: string = mkdtempSync(path.join(os.tmpdir(), "turnabout-docs-"));
  readonly #groups: number[] = [];
  readonly #ports: ReadonlyMap<string, number>;
  readonly #env: NodeJS.ProcessEnv;

  constructor(ports: ReadonlyMap<string, number>) {
    this.#ports = ports;
    const bin = path.join(this.folder, "bin");
    mkdirSync(bin);
    for (const name of ["turnabout", "revdial-client", "wolf-revdial-client"]) {
      const script = path.join(ROOT, `src/cli/${name}.ts`);
      const line = [process.execPath, ...nodeFlags(), script].map((word) => `"${word}"`).join(" ");
      writeFileSync(path.join(bin, name), `#!/bin/sh\nexec ${line} "$@"\n`, { mode: 0o755 });
    }
    // A reader sees a refusal; here it has to fail the block.
    writeFileSync(path.join(this.folder, ".curlrc"), "fail\nsilent\nshow-error\nmax-time = 30\n");
    const { NODE_TEST_CONTEXT: _context, http_proxy: _proxy, HTTP_PROXY: _PROXY, ...env } = process.env;
    this.#env = {
      ...env,
      CURL_HOME: this.folder,
      XDG_CONFIG_HOME: this.folder,
      PATH: [bin, path.join(ROOT, "node_modules/.bin"), process.env["PATH"]].join(path.delimiter),
    };
  }

  /** Every port of the text becomes the one that stands for it here. */
  replacePorts(text: string): string {
    let result = text;
    for (const [from, to] of this.#ports)
      result = result.replaceAll(new RegExp(`\\b${from}\\b`, "g"), `${to}`);
    return result;
  }

  spawn(command: string, args: readonly string[], options: { cwd?: string } = {}): ChildProcess {
    // A group of its own: `&` in a block outlives its shell, and ends with the document.
    const child = spawn(command, args, {
      cwd: options.cwd ?? this.folder,
      env: this.#env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    if (child.pid !== undefined) this.#groups.push(child.pid);
    return child;
  }

  async run(command: string, args: readonly string[]): Promise<Result> {
    const child = this.spawn(command, args);
    const result: Result = { code: null, stdout: "", stderr: "" };
    child.stdout?.on("data", (chunk: Buffer) => (result.stdout += chunk.toString("utf8")));
    child.stderr?.on("data", (chunk: Buffer) => (result.stderr += chunk.toString("utf8")));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    child.once("error", reject);
    // Not 'close': what a block leaves running holds its output open.
    child.once("exit", (code) => {
      result.code = code;
      setImmediate(resolve);
    });
    await within(promise, `the end of ${args.join(" ")}`, BLOCK_TIMEOUT_MS);
    return result;
  }

  runShell(script: string): Promise<Result> {
    return this.run("bash", ["-euo", "pipefail", "-c", this.replacePorts(script)]);
  }

  /** In good order, so that nothing of the demo stays behind; by force if that takes too long. */
  async close(): Promise<void> {
    const running = () => this.#groups.filter((group) => signal(group, 0));
    for (const group of this.#groups) signal(group, "SIGTERM");
    await eventually(() => running().length === 0, "the end of the processes").catch(() => {});
    for (const group of running()) signal(group, "SIGKILL");
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** False if there is no such process group any more. */
function signal(group: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, name);
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

function assertSucceeded(result: Result, block: Fence): void {
  assert.equal(result.code, 0, `line ${block.line}\n${block.body}\n${result.stdout}\n${result.stderr}`);
}

const readme = fences(readDocument("README.md"));
const operations = fences(readDocument("docs/operations.md"));
const library = fences(readDocument("docs/library.md"));

function marked(blocks: readonly Fence[], info: string): Fence[] {
  return blocks.filter((block) => block.info === info);
}

describe("README.md, docs/operations.md and docs/library.md", () => {
  /** The service on 127.0.0.1:3000 of the text. */
  const service = createServer((_request, response) => response.end("the private service\n"));
  let ports: Map<string, number>;
  let demo: Workplace;

  before(async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    service.listen(0, "127.0.0.1", resolve);
    await promise;
    ports = new Map([
      ["8080", await freePort()],
      ["9000", await freePort()],
      ["3000", (service.address() as AddressInfo).port],
    ]);
    demo = new Workplace(ports);
    const [start = assert.fail("README.md has no block `sh start`")] = marked(readme, "sh start");
    assert.match(start.body, /^npm ci && .*npm start$/m);
    const command = start.body.replace("npm ci && ", "").trim();
    const child = demo.spawn("bash", ["-c", `${command} -- --port ${ports.get("8080")}`], { cwd: ROOT });
    let seen = "";
    const ready = Promise.withResolvers<void>();
    const onData = (chunk: Buffer) => {
      seen += chunk.toString("utf8");
      if (seen.includes("Ctrl-C ends it.")) ready.resolve();
    };
    child.stdout?.on("data", onData);
    child.stderr?.on("data", onData);
    child.once("exit", (code) => ready.reject(new Error(`the demo ended with ${code}: ${seen}`)));
    await within(ready.promise, "the demo's lines to paste", BLOCK_TIMEOUT_MS);
    mkdirSync(SNIPPETS, { recursive: true });
  });

  after(async () => {
    await demo.close();
    service.close();
    service.closeAllConnections();
    rmSync(SNIPPETS, { recursive: true, force: true });
  });

  for (const [name, blocks] of [
    ["README.md", readme],
    ["docs/operations.md", operations],
  ] as const) {
    it(`${name}: every shell block marked \`run\` succeeds`, async () => {
      const own = new Map([...ports, ["9000", await freePort()], ["3001", await freePort()]]);
      // README.md starts a service of its own there.
      if (name === "README.md") own.set("3000", await freePort());
      const workplace = new Workplace(own);
      try {
        const runnable = marked(blocks, "sh run");
        assert.ok(runnable.length >= 3);
        for (const block of runnable) assertSucceeded(await workplace.runShell(block.body), block);
        const screen = path.join(workplace.folder, "screen.png");
        if (name === "README.md")
          assert.ok(existsSync(screen) && statSync(screen).size > 100, "a screenshot");
      } finally {
        await workplace.close();
      }
    });
  }

  it("a shell block that is refused fails", async () => {
    const [first = assert.fail()] = marked(readme, "sh run");
    const result = await demo.runShell(first.body.replaceAll("demo'", "wrong'"));
    assert.notEqual(result.code, 0);
  });

  it("has TypeScript that type-checks", async () => {
    const files = writeSnippets([readme, operations, library].flatMap((one) => marked(one, "ts run")));
    assert.ok(files.length >= 2);
    const config = path.join(SNIPPETS, "tsconfig.json");
    const project = { extends: "../../../tsconfig.json", include: [], files };
    writeFileSync(config, JSON.stringify(project));
    const result = await demo.run("tsc", ["-p", config]);
    assert.equal(result.code, 0, result.stdout + result.stderr);
  });

  it("has TypeScript that runs", async () => {
    const expected = [
      /^HTTP\/1\.1 200 OK[^]*hello\n?200 hello\n$/,
      "hello\n",
      /^apps true\nLeaveLobbyEvent\nWolf refused \d{3}\nrunner_unknown\nno socket\n$/,
      "image/png\nno clipboard: 404\n",
      "false\n401\n",
    ];
    const files = writeSnippets([...marked(readme, "ts run"), ...marked(library, "ts run")]);
    assert.equal(files.length, expected.length);
    for (const [index, file] of files.entries()) {
      const result = await demo.run(process.execPath, [path.join(SNIPPETS, file)]);
      assert.equal(result.code, 0, result.stderr);
      const output = expected[index] ?? assert.fail();
      if (typeof output === "string") assert.equal(result.stdout, output);
      else assert.match(result.stdout, output);
    }
  });

  /** The package's own name is its source here: `dist` need not have been built. */
  function writeSnippets(blocks: readonly Fence[]): string[] {
    return blocks.map((block, index) => {
      const file = `snippet-${index}.ts`;
      const source = demo
        .replacePorts(block.body)
        .replaceAll(`from "turnabout"`, `from "../../../src/index.ts"`)
        .replaceAll(`from "turnabout/helix"`, `from "../../../src/helix/index.ts"`);
      const isModule = /^(import|export) /m.test(source);
      writeFileSync(path.join(SNIPPETS, file), isModule ? source : `${source}\nexport {};\n`);
      return file;
    });
  }
});
