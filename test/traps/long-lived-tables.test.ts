import assert from "node:assert/strict";
import { describe, it } from "node:test";
import v8 from "node:v8";
import vm from "node:vm";
import { OpenList } from "../../src/control/in-flight/open-list.ts";
import type { Listed } from "../../src/control/in-flight/open-list.ts";

v8.setFlagsFromString("--expose-gc");
v8.setFlagsFromString("--no-allocation-site-pretenuring");
const collect = vm.runInNewContext("gc") as (options: { type: "minor" | "major" }) => void;

interface Request extends Listed {
  content: number[];
}

const REQUESTS = 2_000;
const REQUEST_BYTES = 8_000;
const OPEN_AT_ONCE = 5;

/** Bytes that requests leave in the old generation, once a table of those before them has got there. */
function bytesLeft(add: (request: Request) => void, remove: (request: Request) => void): number {
  const request = (): Request => ({
    content: Array.from({ length: REQUEST_BYTES / 8 }, () => 0.5),
    listIndex: -1,
  });
  const open = Array.from({ length: OPEN_AT_ONCE }, request);
  for (const each of open) add(each);
  collect({ type: "major" });
  for (let scavenges = 0; scavenges < 3; scavenges += 1) collect({ type: "minor" });
  const before = oldBytes();
  for (let count = 1; count <= REQUESTS; count += 1) {
    const next = request();
    add(next);
    open.push(next);
    for (const ended of open.splice(0, 1)) remove(ended);
    if (count % 50 === 0) collect({ type: "minor" });
  }
  const left = oldBytes() - before;
  for (const each of open) remove(each);
  return left;
}

function oldBytes(): number {
  return v8
    .getHeapSpaceStatistics()
    .filter(({ space_name }) => space_name === "old_space" || space_name === "large_object_space")
    .reduce((sum, { space_used_size }) => sum + space_used_size, 0);
}

describe("what comes and goes with requests", () => {
  it("stays in the old generation if a Set has held it", () => {
    const set = new Set<Request>();
    const left = bytesLeft(
      (request) => set.add(request),
      (request) => set.delete(request),
    );
    assert.ok(
      left > (REQUESTS * REQUEST_BYTES) / 4,
      `${left} bytes: the trap is gone, OpenList is not needed`,
    );
  });

  it("leaves nothing there if an OpenList has held it", () => {
    const list = new OpenList<Request>();
    const left = bytesLeft(
      (request) => list.add(request),
      (request) => list.remove(request),
    );
    assert.ok(left < (REQUESTS * REQUEST_BYTES) / 20, `${left} bytes`);
  });
});
