/**
 * Imports point one way, between layers and between the rooms of a layer, and files have no cycles. A failing line reads like
 * `src/wire/session/goaway.ts imports ../../agent/limits.ts`.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import {
  crowdedRooms,
  cyclesOf,
  importsBetweenLayers,
  importsOf,
  importsUpwards,
  layerOf,
  longFiles,
  mentions,
} from "./support/source-tree.ts";
import type { Source } from "./support/source-tree.ts";

const ROOT = path.join(import.meta.dirname, "..");

/** What each layer may import besides itself. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  wire: [],
  telemetry: ["wire"],
  clients: ["wire"],
  metrics: [],
  agent: ["wire", "metrics"],
  control: ["wire", "clients", "metrics"],
  helix: ["wire", "clients", "control", "metrics"],
  cluster: ["wire", "clients", "control"],
  dashboard: ["clients"],
  demo: ["wire", "agent", "control", "clients", "helix"],
  cli: ["wire", "telemetry", "agent", "control", "clients", "helix", "cluster", "demo"],
};

/** The rooms of each layer from bottom to top. Files directly in the layer that are not named here are above all rooms. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  wire: [
    "limits.ts",
    "version.ts",
    "protocol.ts",
    "error-row.ts",
    "error-table.ts",
    "errors.ts",
    "failure-codes.ts",
    "token-bucket.ts",
    "system",
    "tls",
    "fields",
    "trace",
    "streams",
    "websocket",
    "session",
    "messages",
    "log.ts",
    "diagnosis",
  ],
  clients: ["dial", "http", "api", "wolf", "moonlight", "sandbox"],
  agent: [
    "limits.ts",
    "metrics.ts",
    "backoff.ts",
    "sleep.ts",
    "transport",
    "carriers",
    "targets",
    "streams",
    "discovery",
    "relay",
    "config.ts",
    "check",
    "connection",
  ],
  control: [
    "limits.ts",
    "in-flight",
    "records",
    "figures",
    "metrics.ts",
    "trusted-proxies",
    "shares",
    "connections",
    "listener",
    "auth",
    "sqlite",
    "store",
    "reload",
    "fields",
    "tunnels",
    "revdial",
    "http2-target",
    "http1-target",
    "registry",
    "event-bus.ts",
    "history",
    "admission",
    "bridge",
    "proxy",
    "websocket",
    "relayed",
    "cluster",
    "router",
    "reference",
    "page",
    "api",
  ],
  helix: [
    "limits.ts",
    "errors.ts",
    "ids.ts",
    "parameters.ts",
    "store",
    "instances",
    "sessions",
    "moonlight",
    "api",
  ],
  cluster: ["limits.ts", "directory", "nats", "peers"],
  dashboard: [
    "limits.ts",
    "text",
    "api",
    "state",
    "parts",
    "runners",
    "overview",
    "requests",
    "access",
    "sessions",
    "shell",
  ],
  demo: ["listening.ts", "png.ts", "recent.ts", "moonlight", "sandbox", "wolf"],
  cli: [
    "command.ts",
    "options.ts",
    "logger.ts",
    "memory-return.ts",
    "program.ts",
    "output",
    "remote",
    "forward",
    "watchdog",
    "lifecycle.ts",
    "config",
    "handover",
    "commands",
    "operator",
    "tail",
    "diag",
    "completion",
  ],
};

const MAX_FILES_OF_A_ROOM = 14;
const MAX_LINES = 300;

/** The control plane is a tunnel: what runs over it is the business of src/helix. */
const PRODUCT_WORDS = /wolf|moonlight|sandbox|lobby|lobbies|helix/i;
/** Here it is a directive of Content-Security-Policy. */
const CSP_SANDBOX = "src/control/fields/page-isolation.ts";

/** The protocol works on any byte stream: no HTTP/1.1 server, no Docker, no logger or metrics library. */
const WIRE_PACKAGES = new Set(["ws"]);
const NOT_FOR_WIRE = new Set([
  "node:http",
  "node:https",
  "node:fs",
  "node:fs/promises",
  "node:child_process",
]);

const read = (file: string): Source => ({ file, text: readFileSync(path.join(ROOT, file), "utf8") });
const find = (pattern: string): Source[] =>
  globSync(pattern, { cwd: ROOT, exclude: ["**/node_modules/**", "**/*.test.ts"] })
    .map((file) => file.replaceAll(path.sep, "/"))
    .toSorted()
    .map(read);

const SOURCES = find("src/**/*.{ts,tsx}");

describe("the tree", () => {
  it("has only the layers of the architecture", () => {
    const layers = new Set(SOURCES.map(({ file }) => layerOf(file)).filter((layer) => layer !== ""));
    assert.deepEqual([...layers].toSorted(), Object.keys(LAYERS).toSorted());
  });

  it("has imports between layers that only point down", () => {
    assert.deepEqual(importsBetweenLayers(SOURCES, LAYERS), []);
  });

  for (const [layer, rooms] of Object.entries(ROOMS)) {
    it(`has imports between the rooms of ${layer} that only point down`, () => {
      assert.deepEqual(importsUpwards(SOURCES, layer, rooms), []);
    });

    it(`has every room of ${layer} that its order names`, () => {
      const present = new Set(SOURCES.map(({ file }) => file.split("/").slice(0, 3).join("/")));
      const absent = rooms.filter((room) => !present.has(`src/${layer}/${room}`));
      assert.deepEqual(absent, []);
    });
  }

  it("has no cycle of imports, type imports included", () => {
    assert.deepEqual(cyclesOf(SOURCES), []);
  });

  it("has rooms of at most about a dozen files", () => {
    const sources = [...SOURCES, ...find("agents/**/*.ts")];
    assert.deepEqual(crowdedRooms(sources, MAX_FILES_OF_A_ROOM), []);
  });

  it("has long files only where their head says why", () => {
    const sources = [...SOURCES, ...find("agents/**/*.ts"), ...find("certs/**/*.ts")];
    assert.deepEqual(longFiles(sources, MAX_LINES), []);
  });

  it("has no word of the product in the control plane", () => {
    const sources = find("src/control/**/*.ts").filter(({ file }) => file !== CSP_SANDBOX);
    assert.deepEqual(mentions(sources, PRODUCT_WORDS), []);
  });

  it("has a product that knows the control plane's extension interface alone", () => {
    const others = find("src/helix/**/*.ts")
      .flatMap(importsOf)
      .filter(
        ({ specifier }) =>
          /\/control\//.test(specifier) && !/\/control\/extension(?:-api)?\.ts$/.test(specifier),
      );
    assert.deepEqual(others, []);
  });

  it("has a wire layer of node's own modules and ws", () => {
    const wrong = SOURCES.flatMap(importsOf).filter(({ file, specifier, isTypeOnly }) => {
      if (layerOf(file) !== "wire" || specifier.startsWith(".")) return false;
      if (!specifier.startsWith("node:")) return !WIRE_PACKAGES.has(specifier);
      return !isTypeOnly && NOT_FOR_WIRE.has(specifier);
    });
    assert.deepEqual(
      wrong.map(({ file, specifier }) => `${file} imports ${specifier}`),
      [],
    );
  });

  for (const { file, text } of SOURCES.filter(({ file: name }) => layerOf(name) === "")) {
    it(`has a public entry ${file} that only exports`, () => {
      const statements = text.replace(/^\/\*\*[^]*?\*\/\n/, "").split(";\n");
      for (const statement of statements.filter((each) => each.trim() !== ""))
        assert.match(statement, /^export (type )?\{[^}]*\} from "[^"]+"$/);
    });
  }
});

describe("the checks of the tree", () => {
  const planted = (file: string, text: string): Source[] => [...SOURCES, { file, text }];

  it("see an import of a layer above", () => {
    const sources = planted("src/wire/planted.ts", 'import type { Agent } from "../agent/agent.ts";\n');
    assert.deepEqual(importsBetweenLayers(sources, LAYERS), [
      "src/wire/planted.ts imports ../agent/agent.ts",
    ]);
  });

  it("see an import of a room above, of types and of values", () => {
    const text = `import type { Router } from "../router/router.ts";
export {
  createPort,
} from "../listener/port.ts";
const late = await import("../control-plane.ts");
`;
    const sources = [{ file: "src/control/registry/planted.ts", text }];
    assert.deepEqual(importsUpwards(sources, "control", ROOMS["control"] ?? []), [
      "src/control/registry/planted.ts imports ../router/router.ts",
      "src/control/registry/planted.ts imports ../control-plane.ts",
    ]);
  });

  it("see a room that has no place in the order", () => {
    const sources = [{ file: "src/agent/attic/planted.ts", text: 'import "../limits.ts";\n' }];
    assert.equal(importsUpwards(sources, "agent", ROOMS["agent"] ?? []).length, 1);
  });

  it("see a cycle of type imports, also through a third file", () => {
    const sources = [
      { file: "src/a/one.ts", text: 'import type { Two } from "./two.ts";\n' },
      { file: "src/a/two.ts", text: 'import { three } from "../b/three.ts";\n' },
      { file: "src/b/three.ts", text: 'export type { One } from "../a/one.ts";\n' },
      { file: "src/b/four.ts", text: 'import { three } from "./three.ts";\n' },
    ];
    assert.deepEqual(cyclesOf(sources), [["src/a/one.ts", "src/a/two.ts", "src/b/three.ts"]]);
    assert.deepEqual(cyclesOf(sources.slice(1)), []);
  });

  it("see a crowded room, and a long file without a reason", () => {
    const room = Array.from({ length: 3 }, (_, i) => ({ file: `src/a/${i}.ts`, text: "" }));
    assert.deepEqual(crowdedRooms(room, 2), ["src/a has 3 files"]);
    const long = "\n".repeat(11);
    assert.equal(longFiles([{ file: "a.ts", text: `/** A table. */${long}` }], 10).length, 1);
    const stated = `/**\n * A table. Longer than 10 lines because\n * it has a row for each code.\n */${long}`;
    assert.deepEqual(longFiles([{ file: "a.ts", text: stated }], 10), []);
  });

  it("see a word of the product in the control plane", () => {
    const text = "// A tunnel.\nconst wolfRunner = 1;\n";
    assert.deepEqual(mentions([{ file: "src/control/planted.ts", text }], PRODUCT_WORDS), [
      "src/control/planted.ts:2 says wolf",
    ]);
    assert.equal(mentions([{ file: "src/control/lobby.ts", text: "" }], PRODUCT_WORDS).length, 1);
  });
});
