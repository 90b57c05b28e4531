import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AccessLog } from "./access-log.ts";
import { accessLine, redactedPath } from "./access-line.ts";
import { ACCESS_LOG_MAX_PATH } from "./limits.ts";
import { RequestRecord } from "./request-record.ts";
import { silentLogger } from "../../wire/log.ts";

function ended(path: string): RequestRecord {
  const record = new RequestRecord("id-1", "route");
  record.path = path;
  record.code = "ok";
  return record;
}

describe("a line of the access log", () => {
  it("has only the names of a query", () => {
    for (const [path, expected] of [
      ["/a", "/a"],
      ["/a?", "/a?*"],
      ["/a?token", "/a?*"],
      ["/a?x=secret", "/a?x=*"],
      ["/a?x=1&y=2=3&secret&=4", "/a?x=*&y=*&*&=*"],
      ["/a?x=1&y?=2", "/a?x=*&y?=*"],
    ] as const)
      assert.equal(redactedPath(path), expected, path);
  });

  it("is bounded, also for a query without end", () => {
    for (const path of [`/${"a".repeat(40_000)}`, `/?${"a=1&".repeat(10_000)}`, `/?${"b".repeat(40_000)}`])
      assert.ok(redactedPath(path).length <= ACCESS_LOG_MAX_PATH + 1);
  });

  it("is JSON whatever a peer has sent, on one line", () => {
    const record = ended('/"\\\u2028\nü\u0000');
    record.method = 'G"ET';
    record.requester = { id: 'na"me\n', owner: undefined };
    record.totalMs = 12.345;
    record.queueMs = 0.004;
    const line = accessLine(record, Date.UTC(2026, 10, 28, 1, 2, 3, 4));
    assert.equal(line.indexOf("\n"), line.length - 1);
    const { time, path, method, credential, totalMs, queueMs } = JSON.parse(line) as Record<string, unknown>;
    assert.deepEqual([path, method, credential], [record.path, record.method, record.requester.id]);
    assert.deepEqual([time, totalMs, queueMs], ["2026-11-28T01:02:03.004Z", 12.35, 0]);
  });
});

describe("a live reader", () => {
  it("gets what matches, and a count of what it was too slow for", async () => {
    const log = new AccessLog(undefined, silentLogger);
    const reader = log.subscribe({ matches: ({ path }) => path !== "/no", maxLines: 2 });
    for (const path of ["/1", "/no", "/2", "/3", "/4"]) log.end(ended(path));
    const read = await reader.read();
    assert.deepEqual(
      [read?.lines.map((line) => (JSON.parse(line) as { path: string }).path), read?.dropped],
      [["/1", "/2"], 2],
    );
    const next = reader.read();
    log.end(ended("/5"));
    assert.equal((await next)?.lines.length, 1);
    const last = reader.read();
    reader.close();
    assert.equal(await last, undefined);
    log.end(ended("/6"));
  });

  it("whose filter fails is closed, and fails no request", async () => {
    const log = new AccessLog(undefined, silentLogger);
    const broken = log.subscribe({
      matches: () => {
        throw new Error("broken");
      },
    });
    const other = log.subscribe();
    log.end(ended("/1"));
    assert.equal(await broken.read(), undefined);
    assert.equal((await other.read())?.lines.length, 1);
  });
});
