import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { tempPath } from "../support/temp.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const IN_PACKAGE = [
  "src",
  "docs",
  "agents/packaging",
  "package.json",
  "tsconfig.json",
  "tsconfig.build.json",
  "README.md",
  "LICENSE",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
];
const NODE = dirname(process.execPath);
/** Below a test's: where the registry cannot be reached, npm tries for minutes. */
const COMMAND_TIMEOUT_MS = 100_000;

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

function run(command: string, args: readonly string[], cwd: string): Promise<Result> {
  const { promise, resolve } = Promise.withResolvers<Result>();
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined, PATH: `${NODE}:${process.env["PATH"]}` };
  const bounds = { maxBuffer: 16 * 1024 * 1024, timeout: COMMAND_TIMEOUT_MS, killSignal: "SIGKILL" } as const;
  execFile(command, args, { cwd, env, ...bounds }, (error, stdout, stderr) => {
    const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
    resolve({ code, stdout, stderr });
  });
  return promise;
}

function newFolder(): string {
  const folder = tempPath("");
  mkdirSync(folder);
  return folder;
}

/** An interpreter of the machine that is too old, if it has one. */
async function oldNode(): Promise<string | undefined> {
  for (const path of ["/usr/bin/node", "/usr/local/bin/node"]) {
    if (!existsSync(path)) continue;
    const { stdout } = await run(path, ["-p", "process.versions.node"], "/");
    if (Number(stdout.split(".")[0]) < 24) return path;
  }
  return undefined;
}

describe("the package, packed and installed", { timeout: 180_000 }, () => {
  const consumer = newFolder();
  const installed = join(consumer, "node_modules/turnabout");
  const bin = (name: string): string => join(consumer, "node_modules/.bin", name);

  before(async () => {
    // A copy, because packing builds: `dist` of the working tree may be in use.
    const copy = newFolder();
    for (const name of IN_PACKAGE.filter((name) => existsSync(join(ROOT, name)))) {
      cpSync(join(ROOT, name), join(copy, name), { recursive: true });
    }
    symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
    const packed = await run("npm", ["pack", "--silent", "--pack-destination", consumer], copy);
    assert.equal(packed.code, 0, packed.stderr);
    const tarball = packed.stdout.trim().split("\n").at(-1) ?? "";
    writeFileSync(join(consumer, "package.json"), '{"name":"consumer","private":true,"type":"module"}');
    const install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
    const result = await run("npm", [...install, `./${tarball}`], consumer);
    assert.equal(result.code, 0, result.stderr);
  });

  it("runs no script when it is installed: nothing is built", () => {
    const { packages } = JSON.parse(readFileSync(join(consumer, "package-lock.json"), "utf8")) as {
      packages: Record<string, { hasInstallScript?: boolean }>;
    };
    const names = Object.keys(packages);
    assert.ok(names.includes("node_modules/turnabout") && names.includes("node_modules/undici"));
    const { scripts } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    // npm names each of these to who installs the package, and asks to allow it.
    const installScripts = ["preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare"];
    assert.deepEqual(
      installScripts.filter((name) => name in scripts),
      [],
    );
    assert.deepEqual(
      names.filter((name) => packages[name]?.hasInstallScript === true || /ssh2|grpc|protobuf/.test(name)),
      [],
    );
  });

  it("has what it needs and nothing of the tests, the sources or the machine", async () => {
    const listed = await run("find", [".", "-type", "f"], installed);
    const files = listed.stdout.trim().split("\n");
    assert.ok(files.includes("./LICENSE"));
    assert.ok(files.includes("./dist/index.js") && files.includes("./dist/index.d.ts"));
    assert.ok(files.includes("./dist/page/index.html") && !files.some((name) => name.includes("dashboard")));
    assert.ok(files.includes("./dist/helix/index.js") && files.includes("./dist/helix/index.d.ts"));
    const strange = files.filter(
      (name) =>
        !/^\.\/(dist\/.*\.(js|js\.map|d\.ts)|dist\/THIRD-PARTY-NOTICES\.txt|dist\/page\/[\w-]+\.(html|css|js|json|svg|txt)(\.br|\.gz)?|dist\/demo\/moonlight\/sites\/.*\.(html|css|json|svg)|docs\/.*|package\.json|README\.md|LICENSE|CHANGELOG\.md|CONTRIBUTING\.md|SECURITY\.md)$/.test(
          name,
        ) || /\.test\.|\.pem$|\.key$/.test(name),
    );
    assert.deepEqual(strange, []);
  });

  it("runs its commands", async () => {
    const { code, stdout } = await run(bin("turnabout"), ["--help"], consumer);
    assert.deepEqual([code, /^usage: turnabout COMMAND/m.test(stdout)], [0, true]);
    for (const name of ["revdial-client", "wolf-revdial-client"]) {
      const help = await run(bin(name), ["--help"], consumer);
      assert.deepEqual([help.code, help.stdout.startsWith(`usage: ${name} `)], [0, true], help.stderr);
    }
  });

  it("has each command as a file that needs no other", async () => {
    const alone = newFolder();
    for (const name of ["turnabout-agent", "revdial-client", "wolf-revdial-client"]) {
      cpSync(join(installed, `dist/${name}.js`), join(alone, `${name}.js`));
      const { code, stdout, stderr } = await run(process.execPath, [`${name}.js`, "--help"], alone);
      assert.deepEqual([code, stderr, stdout.startsWith("usage: ")], [0, "", true], name);
    }
  });

  it("has source maps: a stack names our files and lines", async () => {
    const script = `import { createAgent } from "turnabout"; createAgent({ server: "nonsense:", runners: {} });`;
    writeFileSync(join(consumer, "stack.js"), script);
    const { stderr } = await run(process.execPath, ["--enable-source-maps", "stack.js"], consumer);
    assert.match(stderr, /src\/agent\/config\.ts:\d+/);
  });

  it("prints its own version", async () => {
    const { version } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as {
      version: string;
    };
    const { stdout } = await run(bin("turnabout"), ["--version"], consumer);
    assert.equal(stdout, `turnabout ${version}\n`);
  });

  it("works as a library: a dial through control plane and agent", async () => {
    const script = `
      import { once } from "node:events";
      import net from "node:net";
      import { createAgent, createControlPlane, TurnaboutError } from "turnabout";
      const target = net.createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
      await once(target, "listening");
      const controlPlane = await createControlPlane({ port: 0, host: "127.0.0.1", adminToken: "t" });
      const agent = createAgent({
        server: \`http://127.0.0.1:\${controlPlane.port}\`,
        token: { value: "t" },
        runners: { r: { echo: \`127.0.0.1:\${target.address().port}\` } },
      });
      const socket = await controlPlane.dial("r", "echo", { waitMs: 5_000 });
      socket.end("through the package");
      for await (const chunk of socket) console.log(String(chunk));
      const refused = await controlPlane.dial("r", "nothing").catch((error) => error);
      console.log(refused instanceof TurnaboutError, refused.code);
      await agent.close();
      await controlPlane.close();
      target.close();
    `;
    writeFileSync(join(consumer, "use.js"), script);
    const { code, stdout, stderr } = await run(process.execPath, ["use.js"], consumer);
    assert.deepEqual([code, stderr, stdout], [0, "", "through the package\ntrue target_unknown\n"]);
  });

  it("has types that compile in a strict project", async () => {
    const source = `
      import { createAgent, createControlPlane, createDispatcher, createRemoteDial, TurnaboutError } from "turnabout";
      import type { Agent, ControlPlane, Dial, ErrorCode, RunnerView } from "turnabout";
      import { createWolfClient, helix, wolfOverTunnel } from "turnabout/helix";
      import type { SessionEvent } from "turnabout/helix";
      const events: SessionEvent[] = [];
      const extensions = [helix({ maxSessionsPerUser: 1, onEvent: (event) => void events.push(event) })];
      const controlPlane: ControlPlane = await createControlPlane({ port: 0, adminToken: "t", extensions });
      const dial: Dial = createRemoteDial({ server: "http://localhost:8080", token: "t" });
      const agent: Agent = createAgent({ server: "http://localhost", runners: { r: { t: "localhost:1" } } });
      const views: RunnerView[] = controlPlane.runners();
      const code: ErrorCode = new TurnaboutError("aborted", "text").code;
      createDispatcher(dial);
      createWolfClient(wolfOverTunnel(dial, "wolf-local"));
      console.log(agent.processId, views.length, code satisfies string);
      // @ts-expect-error an option of Helix
      await createControlPlane({ moonlightCredentials: "x" });
      // @ts-expect-error a port is a number
      await createControlPlane({ port: "8080" });
      // @ts-expect-error no such code
      new TurnaboutError("no_such_code", "text");
    `;
    const project = {
      compilerOptions: {
        target: "es2025",
        lib: ["es2025", "esnext.disposable"],
        module: "nodenext",
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
        types: ["node"],
        typeRoots: [join(ROOT, "node_modules/@types")],
      },
      files: ["use.ts"],
    };
    writeFileSync(join(consumer, "use.ts"), source);
    writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify(project));
    const { code, stdout } = await run(join(ROOT, "node_modules/.bin/tsc"), ["-p", "."], consumer);
    assert.deepEqual([code, stdout], [0, ""]);
  });

  it("reports in one line that Node is too old", async (t) => {
    const node = await oldNode();
    if (node === undefined) return t.skip("no Node before 24 on this machine");
    const modules = ["turnabout", "revdial-client", "wolf-revdial-client"].map((name) => `cli/${name}.js`);
    for (const file of [...modules, "turnabout-agent.js"]) {
      const { code, stdout, stderr } = await run(node, [join(installed, "dist", file), "--help"], "/");
      assert.match(
        stderr,
        /^error: turnabout needs Node 24\.\d+\.\d+ or later; this is \d+\.\d+\.\d+\nhint: .*\n$/,
      );
      assert.deepEqual([code, stdout], [1, ""]);
    }
  });
});
