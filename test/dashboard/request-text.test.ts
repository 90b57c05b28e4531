import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RequestLine } from "../../src/dashboard/api/types.ts";
import { shortPath, timeParts, toneOf } from "../../src/dashboard/requests/request-text.ts";

const LINE: RequestLine = {
  time: "2026-01-01T00:00:00.000Z",
  id: "1",
  way: "route",
  bytesIn: 0,
  bytesOut: 0,
};

describe("the time of a request", () => {
  it("is divided into parts whose sum is the total", () => {
    const parts = timeParts({ ...LINE, queueMs: 1, dialMs: 2, firstByteMs: 10, totalMs: 15 });
    assert.deepEqual(
      parts.map(({ name, ms }) => `${name} ${ms}`),
      ["queue 1", "dial 2", "target 7", "content 5"],
    );
  });

  it("has no part that was not reached, and none below 0", () => {
    assert.deepEqual(timeParts({ ...LINE, queueMs: 30_000, totalMs: 30_000 }), [
      { name: "queue", ms: 30_000 },
    ]);
    for (const { ms } of timeParts({ ...LINE, queueMs: 5, dialMs: 5, firstByteMs: 1, totalMs: 3 }))
      assert.ok(ms >= 0);
  });
});

describe("a line of a request", () => {
  it("is bad for a failure of ours or the target's, a warning for what the caller has done", () => {
    assert.equal(toneOf({ ...LINE, status: 200, code: "ok" }), "ok");
    assert.equal(toneOf({ ...LINE, status: 404, code: "ok" }), "warn");
    assert.equal(toneOf({ ...LINE, status: 502, code: "target_refused" }), "bad");
    assert.equal(toneOf({ ...LINE, code: "aborted" }), "warn");
  });

  it("has the target's path where the route says only runner and target again", () => {
    const route = { ...LINE, runner: "a", target: "web", path: "/base/api/v1/runners/a/targets/web/x?y=*" };
    assert.equal(shortPath(route), "/x?y=*");
    assert.equal(shortPath({ ...LINE, path: "/z" }), "/z");
  });
});
