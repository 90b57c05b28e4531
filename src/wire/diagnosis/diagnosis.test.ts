import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RECENT_LOG_LINE_LENGTH, RECENT_LOG_LINES } from "../limits.ts";
import { silentLogger } from "../log.ts";
import { RecentLog } from "./recent-log.ts";
import { scrubJson, scrubText } from "./scrub.ts";

const SECRET = "hunter2-S3cret";

describe("scrubText", () => {
  for (const text of [
    `connect http://user:${SECRET}@proxy:8080 failed`,
    `socks5://${SECRET}@proxy`,
    `GET /a?x=1&key=${SECRET}&y=2 failed`,
    `Authorization: Basic ${SECRET}`,
    `proxy-authorization: Bearer ${SECRET}`,
    `Cookie: a=b; session=${SECRET}; c=d`,
    `sent Bearer ${SECRET} to`,
    `PASSWORD=${SECRET}`,
    `TURNABOUT_ADMIN_TOKEN=${SECRET} turnabout serve`,
    `api-key: ${SECRET}`,
    `{"password":"two words \\" ${SECRET}"}`,
    JSON.stringify(JSON.stringify({ secret: SECRET })),
    `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----`,
    JSON.stringify(`-----BEGIN EC PRIVATE KEY-----\n${SECRET}`),
    `token ta_${SECRET}`,
    `eyJhbGciOi.eyJzdWIiOi.${SECRET}`,
  ]) {
    it(`finds the secret in ${JSON.stringify(text).slice(0, 50)}`, () => {
      assert.ok(!scrubText(text).includes(SECRET), scrubText(text));
    });
  }

  it("removes what is known to be one, also encoded, and leaves the rest", () => {
    const known = 'p&ss "w"';
    const text = `a ${known} b ${encodeURIComponent(known)} c ${JSON.stringify(known)} d`;
    assert.equal(scrubText(text, [known]), 'a [redacted] b [redacted] c "[redacted]" d');
    for (const plain of [
      "agent connected: carrier ptth, credential admin, http://cp.example:8080/base",
      "8f14e45f-ceea-467f-a8f2-0123456789ab",
      'turnabout_dials_total{outcome="ok"} 12',
    ])
      assert.equal(scrubText(plain), plain);
  });
});

describe("scrubJson", () => {
  it("goes by the names of members, and keeps those of files and all numbers", () => {
    const value = {
      token: "x",
      tokens: 3,
      tokenFile: "/run/t",
      list: [{ apiKey: "y", note: `?k=${SECRET}` }],
    };
    assert.deepEqual(scrubJson(value), {
      token: "[redacted]",
      tokens: 3,
      tokenFile: "/run/t",
      list: [{ apiKey: "[redacted]", note: "?k=[redacted]" }],
    });
  });
});

describe("RecentLog", () => {
  it("passes lines on and keeps the last ones, of bounded length", () => {
    const passed: string[] = [];
    const logger = new RecentLog({ ...silentLogger, info: (_f, m) => passed.push(m) });
    for (let n = 0; n < RECENT_LOG_LINES + 3; n += 1) logger.info({ n }, `line ${n}`);
    logger.debug({}, "not kept");
    logger.error({ text: "x".repeat(3 * RECENT_LOG_LINE_LENGTH) }, "long");
    const kept = logger.lines();
    assert.equal(passed.length, RECENT_LOG_LINES + 3);
    assert.equal(kept.length, RECENT_LOG_LINES);
    assert.deepEqual([kept[0]?.message, kept[0]?.fields], ["line 4", { n: 4 }]);
    assert.equal(String(kept.at(-1)?.fields).length, RECENT_LOG_LINE_LENGTH);
  });

  it("is one and the same for all who are given it", () => {
    const logger = new RecentLog(silentLogger);
    logger.info({}, "before");
    RecentLog.of(logger).info({}, "after");
    assert.deepEqual(
      logger.lines().map(({ message }) => message),
      ["before", "after"],
    );
  });

  it("survives fields that cannot be written", () => {
    const logger = new RecentLog(silentLogger);
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    logger.warn(cycle, "a cycle");
    logger.warn({ err: new Error("readable") }, "an error");
    assert.deepEqual(
      logger.lines().map(({ message }) => message),
      ["an error"],
    );
    assert.match(JSON.stringify(logger.lines()), /readable/);
  });
});
