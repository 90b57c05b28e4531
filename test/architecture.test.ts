/** Dependencies point one way; a failing line reads like `src/wire/session/reversed-session.ts imports ../agent/dialer.ts`. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";

const ROOT = path.join(import.meta.dirname, "..");

/** What each layer may import besides itself. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  wire: [],
  agent: ["wire"],
  control: ["wire", "clients", "helix"],
  helix: ["wire", "clients", "control"],
  clients: ["wire"],
  demo: ["wire", "agent", "control", "clients", "helix"],
  cli: ["wire", "agent", "control", "clients", "helix", "demo"],
};

/** The protocol works on any byte stream: no HTTP/1.1 server, no Docker, no logger or metrics library. */
const WIRE_PACKAGES = new Set(["ws"]);
const NOT_FOR_WIRE = new Set([
  "node:http",
  "node:https",
  "node:fs",
  "node:fs/promises",
  "node:child_process",
]);

interface Import {
  file: string;
  specifier: string;
  isTypeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(path.join(ROOT, file), "utf8");
  const pattern = /^(?:import|export)\s(type\s)?(?:[^;"']*?\sfrom\s)?["']([^"']+)["']/gm;
  const found = [...text.matchAll(pattern)].map((match) => ({
    file,
    specifier: match[2] ?? "",
    isTypeOnly: match[1] !== undefined,
  }));
  const dynamic = [...text.matchAll(/\bimport\(\s*["']([^"']+)["']\s*\)/g)];
  return [...found, ...dynamic.map((match) => ({ file, specifier: match[1] ?? "", isTypeOnly: false }))];
}

const SOURCES = globSync("src/**/*.ts", { cwd: ROOT }).filter((file) => !file.endsWith(".test.ts"));
const IMPORTS = SOURCES.flatMap(importsOf);

/** First folder below src/, or "" for a file directly in it. */
function layerOf(file: string): string {
  const [, layer = "", ...rest] = file.split(path.sep);
  return rest.length === 0 ? "" : layer;
}

describe("the tree", () => {
  it("has only the layers of the architecture", () => {
    const layers = new Set(SOURCES.map(layerOf).filter((layer) => layer !== ""));
    for (const layer of layers) assert.ok(layer in LAYERS, `src/${layer} is not a layer`);
  });

  it("has imports that only point down", () => {
    const wrong = IMPORTS.filter(({ file, specifier }) => {
      const layer = layerOf(file);
      if (!specifier.startsWith(".") || layer === "") return false;
      const to = layerOf(path.normalize(path.join(path.dirname(file), specifier)));
      return to !== layer && LAYERS[layer]?.includes(to) !== true;
    });
    assert.deepEqual(
      wrong.map(({ file, specifier }) => `${file} imports ${specifier}`),
      [],
    );
  });

  it("has a wire layer of node's own modules and ws", () => {
    const wrong = IMPORTS.filter(({ file, specifier, isTypeOnly }) => {
      if (layerOf(file) !== "wire" || specifier.startsWith(".")) return false;
      if (!specifier.startsWith("node:")) return !WIRE_PACKAGES.has(specifier);
      return !isTypeOnly && NOT_FOR_WIRE.has(specifier);
    });
    assert.deepEqual(
      wrong.map(({ file, specifier }) => `${file} imports ${specifier}`),
      [],
    );
  });

  it("has a public entry that only exports", () => {
    const lines = readFileSync(path.join(ROOT, "src/index.ts"), "utf8").replace(/^\/\*\*[^]*?\*\/\n/, "");
    for (const statement of lines.split(";\n").filter((text) => text.trim() !== "")) {
      assert.match(statement, /^export (type )?\{[^}]*\} from "[^"]+"$/);
    }
  });
});
