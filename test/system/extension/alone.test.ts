/** The tunnel without the product: src/control neither needs src/helix to run, nor do its tests. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { importsOf } from "../../support/source-tree.ts";
import { tempPath } from "../../support/temp.ts";

const ROOT = path.join(import.meta.dirname, "../../..");
const PRODUCT = ["helix", "demo", "cli"];

/** One request through a control plane and an agent, and a refusal of a route that only the product has. */
const SCRIPT = `
  import http from "node:http";
  import { createAgent, createControlPlane } from "./src/index.ts";
  const target = http.createServer((request, response) => response.end("reached " + request.url));
  await new Promise((resolve) => target.listen(0, "127.0.0.1", resolve));
  const controlPlane = await createControlPlane({ port: 0, host: "127.0.0.1", adminToken: "t", dataDirectory: "data" });
  const url = "http://127.0.0.1:" + controlPlane.port;
  const agent = createAgent({
    server: url,
    token: { value: "t" },
    runners: { web: { http: "127.0.0.1:" + target.address().port } },
  });
  const get = async (path) => {
    const headers = { authorization: "Bearer t", prefer: "wait=10" };
    const response = await fetch(url + path, { headers });
    return response.status + " " + (response.ok ? await response.text() : (await response.json()).error.code);
  };
  console.log(await get("/api/v1/runners/web/targets/http/path"));
  console.log(await get("/api/v1/sessions"));
  console.log(JSON.parse((await get("/openapi.json")).slice(4)).paths["/moonlight/{path}"]);
  await agent.close();
  await controlPlane.close();
  target.close();
`;

async function run(folder: string, file: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined };
  execFile(process.execPath, [file], { cwd: folder, env, timeout: 60_000 }, (error, stdout, stderr) => {
    if (error === null) resolve(stdout);
    else reject(new Error(stderr, { cause: error }));
  });
  return promise;
}

/** Files that a file needs, itself first, each with the file that imports it. */
function closureOf(file: string): Map<string, string> {
  const found = new Map([[file, ""]]);
  for (const [current] of found) {
    const text = readFileSync(path.join(ROOT, current), "utf8");
    for (const { specifier, target } of importsOf({ file: current, text }))
      if (specifier.startsWith(".") && !found.has(target)) found.set(target, current);
  }
  return found;
}

describe("the tunnel without the product", () => {
  it("starts, serves a runner, and has no route of the product", async () => {
    const folder = tempPath("-alone");
    mkdirSync(folder);
    for (const layer of ["wire", "metrics", "telemetry", "clients", "agent", "control"])
      cpSync(path.join(ROOT, "src", layer), path.join(folder, "src", layer), { recursive: true });
    for (const file of ["src/index.ts", "package.json"])
      cpSync(path.join(ROOT, file), path.join(folder, file));
    symlinkSync(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
    writeFileSync(path.join(folder, "use.ts"), SCRIPT);
    const lines = await run(folder, "use.ts");
    assert.deepEqual(lines.trim().split("\n"), ["200 reached /path", "404 not_found", "undefined"]);
  });

  it("has tests that neither import src/helix nor start a command that does", () => {
    const tests = globSync(["src/**/*.test.ts", "test/system/**/*.test.ts"], { cwd: ROOT })
      .map((file) => file.replaceAll(path.sep, "/"))
      .filter((file) => !PRODUCT.some((layer) => file.includes(`/${layer}/`)));
    assert.ok(tests.length > 100, `${tests.length} tests found`);
    const wrong = tests.flatMap((file) => {
      const closure = closureOf(file);
      return [...closure]
        .filter(([imported]) => imported.startsWith("src/helix/"))
        .slice(0, 1)
        .map(([imported, importer]) => `${file}: ${importer} imports ${imported}`);
    });
    const serving = tests.filter(
      (file) =>
        !file.endsWith("/alone.test.ts") &&
        /\bstartServe\(|"serve"/.test(readFileSync(path.join(ROOT, file), "utf8")),
    );
    assert.deepEqual([...wrong, ...serving.map((file) => `${file}: starts \`turnabout serve\``)], []);
  });
});
