/**
 * The same session with Wolf's side on another host behind NAT, and its sandbox a level deeper behind another NAT, as
 * in the design: no connection is ever opened towards the inside, by anybody. The kernel counts.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { missing } from "../support/parts.ts";

/** Networks, mounts and processes of their own: all of it ends with the scenario, and the scenario with this test. */
const ALONE = [
  "--pdeathsig",
  "KILL",
  "unshare",
  "--net",
  "--mount",
  "--pid",
  "--fork",
  "--kill-child",
  "--mount-proc",
];
const SCENARIO = fileURLToPath(new URL("behind-nat.child.ts", import.meta.url));

function cannot(): string | false {
  const absent = missing(
    "sway",
    "swaybg",
    "grim",
    "wl-copy",
    "foot",
    "chromium",
    "nft",
    "ip",
    "nsenter",
    "sysctl",
  );
  if (absent !== false) return absent;
  if (process.getuid?.() !== 0) return "networks of its own need root";
  const tried = spawnSync("setpriv", [...ALONE, "ip", "link", "set", "lo", "up"]);
  return tried.status === 0 ? false : `no network namespaces here: ${tried.stderr.toString("utf8").trim()}`;
}

test("a session behind two NATs, with no connection towards the inside", { skip: cannot() }, async (t) => {
  const child = spawn("setpriv", [...ALONE, process.execPath, SCENARIO], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    timeout: 180_000,
    killSignal: "SIGKILL",
  });
  const said: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => t.diagnostic(line));
  createInterface({ input: child.stderr }).on("line", (line) => said.push(line));
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  assert.equal(signal ?? code, 0, said.join("\n"));
});
