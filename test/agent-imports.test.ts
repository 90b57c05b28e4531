/** What an agent loads when it starts: the libraries of what it may never use are loaded on demand. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const ON_DEMAND = ["dockerode", "http2-wrapper", "socks", "ssh2", "undici", "ws"];
/** Of options that most agents do not have. */
const ROOMS_ON_DEMAND = ["src/agent/discovery/docker-engine.ts", "src/agent/relay/relay.ts"];

/** Packages and files that a file imports at once, and those that these do. Imports of types do not count. */
function loadedWith(file: string, loaded: Set<string> = new Set()): Set<string> {
  if (loaded.has(file)) return loaded;
  loaded.add(file);
  const text = readFileSync(path.join(ROOT, file), "utf8");
  const imports = text.matchAll(/^(?:import|export)\s(?!type\s)(?:[^;"']*?\sfrom\s)?["']([^"']+)["']/gm);
  for (const [, specifier = ""] of imports) {
    if (specifier.startsWith(".")) loadedWith(path.posix.join(path.posix.dirname(file), specifier), loaded);
    else loaded.add(specifier);
  }
  return loaded;
}

it("an agent loads no library for proxies, WebSockets, engines or HTTP clients before it needs one", () => {
  const loaded = loadedWith("src/cli/commands/agent.ts");
  assert.ok(loaded.has("pino") && loaded.has("src/agent/carriers/ptth.ts"), [...loaded].join("\n"));
  assert.deepEqual(
    [...ON_DEMAND, ...ROOMS_ON_DEMAND].filter((name) => loaded.has(name)),
    [],
  );
});

it("discovery needs no package", () => {
  const loaded = loadedWith("src/agent/discovery/docker-engine.ts");
  assert.deepEqual(
    [...loaded].filter((name) => !name.startsWith("node:") && !name.startsWith("src/")),
    [],
  );
});
