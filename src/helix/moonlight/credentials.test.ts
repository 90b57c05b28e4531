import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { TurnaboutError } from "../../wire/errors.ts";
import { StreamRate, withCredentials } from "./credentials.ts";

describe("withCredentials", () => {
  const rewrite = (text: string): string | undefined => withCredentials(text, "secret", "ses_1");

  it("puts our credentials in place of the caller's, or adds them, and leaves every other byte's meaning", () => {
    for (const [text, expected] of [
      [
        '{"AuthenticateAndInit":{"credentials":"x","a":1}}',
        '{"AuthenticateAndInit":{"credentials":"secret","a":1}}',
      ],
      ['{"AuthenticateAndInit":{}}', '{"AuthenticateAndInit":{"credentials":"secret"}}'],
      [
        '{"AuthenticateAndInit":{"credentials":"x","credentials":"y"}}',
        '{"AuthenticateAndInit":{"credentials":"secret"}}',
      ],
      ['{"cookie":"x","AuthenticateAndInit":{}}', '{"AuthenticateAndInit":{"credentials":"secret"}}'],
      [
        '{"AuthenticateAndInit":{"n":18446744073709551615,"f":1.0,"e":1E2,"s":"\\u00fc"}}',
        '{"AuthenticateAndInit":{"n":18446744073709551615,"f":1.0,"e":1E2,"s":"ü","credentials":"secret"}}',
      ],
      [
        '{"AuthenticateAndInit":{"__proto__":{"credentials":"x"}}}',
        '{"AuthenticateAndInit":{"__proto__":{"credentials":"x"},"credentials":"secret"}}',
      ],
    ] as const) {
      assert.equal(rewrite(text), expected);
    }
  });

  it("leaves what is no such message", () => {
    for (const text of [
      "",
      "null",
      "[]",
      "1",
      "{",
      '"AuthenticateAndInit"',
      '{"AuthenticateAndInit":null}',
      '{"a":1}',
    ]) {
      assert.equal(rewrite(text), text);
    }
  });

  it("refuses a stream that is another session's", () => {
    const message = (id: unknown): string => JSON.stringify({ AuthenticateAndInit: { session_id: id } });
    for (const id of ["ses_1", "agent-ses_1", "agent-ses_1-kickoff", "mine", "", 7, null]) {
      assert.ok(rewrite(message(id))?.includes("secret"), String(id));
    }
    for (const id of ["ses_2", "agent-ses_2-1", "agent-ses_1-ses_2", "ses_11", "x-SES_2", "agent-ses_"]) {
      const expected = id === "agent-ses_";
      assert.equal(rewrite(message(id)) !== undefined, expected, id);
      // As the media WebSocket has it.
      const bare = JSON.stringify({ type: "init", session_id: id });
      assert.equal(rewrite(bare) !== undefined, expected, `init ${id}`);
    }
    const twice = '{"type":"init","session_id":"ses_2","session_id":"ses_1"}';
    assert.equal(rewrite(twice), '{"type":"init","session_id":"ses_1"}');
  });
});

describe("StreamRate", () => {
  beforeEach(() => mock.timers.enable({ apis: ["Date"], now: 1_000_000 }));
  afterEach(() => mock.timers.reset());

  it("allows one in three seconds for each session, and reports when the next is allowed", () => {
    const rate = new StreamRate();
    const retryOf = (session: string): number | undefined => {
      try {
        rate.take(session);
      } catch (error) {
        assert.ok(error instanceof TurnaboutError && error.code === "rate_limited");
        return error.retryAfterS;
      }
      return undefined;
    };
    assert.equal(retryOf("a"), undefined);
    assert.equal(retryOf("b"), undefined);
    assert.equal(retryOf("a"), 3);
    mock.timers.tick(2_001);
    assert.equal(retryOf("a"), 1, "a refused one does not count");
    mock.timers.tick(999);
    assert.equal(retryOf("a"), undefined);
  });
});
