import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { turn } from "../../../test/support/events.ts";
import { encodeMaskedText } from "../../wire/websocket/websocket-frames.ts";
import {
  FIRST_MESSAGE_TIMEOUT_MS,
  MAX_EARLY_CONTROL_FRAMES,
  MAX_FIRST_MESSAGE_FRAGMENTS,
} from "../limits.ts";
import { credentialPump, withCredentials } from "./credentials.ts";
import { OpenedStreams } from "./opened-streams.ts";

const streamsOf = (id: string) => new OpenedStreams().of({ id, instanceId: "a" });

describe("withCredentials", () => {
  const check = (text: string) => withCredentials(text, "secret", streamsOf("ses_1"));
  const rewrite = (text: string): string | undefined => {
    const checked = check(text);
    return "text" in checked ? checked.text : undefined;
  };

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
    for (const text of ["null", "[]", "1", '"AuthenticateAndInit"', '{"a":1}', '{"Init":{"host_id":0}}']) {
      assert.equal(rewrite(text), text);
    }
  });

  it("refuses what another parser might understand although ours does not", () => {
    const deep = `{"AuthenticateAndInit":{"x":${"[".repeat(30_000)}${"]".repeat(30_000)}}}`;
    for (const text of [
      "",
      "{",
      "\uFEFF{}",
      "{'a':1}",
      "{} {}",
      '{"a":1,}',
      "NaN",
      "this is not JSON",
      deep,
    ]) {
      assert.deepEqual(check(text), { refusal: "the first message is not JSON" }, text.slice(0, 20));
    }
  });

  it("refuses an AuthenticateAndInit that is no object: Moonlight Web may read a list as one", () => {
    for (const init of ["null", "1", '"x"', "true", '["secret","agent-ses_2","join"]', "[]"]) {
      const refusal = "the message's AuthenticateAndInit is no object";
      const { refusal: found } = { refusal: undefined, ...check(`{"AuthenticateAndInit":${init}}`) };
      assert.ok(found === refusal || found === "the message names another session", init);
    }
  });

  it("refuses a stream that is another session's", () => {
    const message = (id: unknown): string => JSON.stringify({ AuthenticateAndInit: { session_id: id } });
    for (const id of ["ses_1", "agent-ses_1", "agent-ses_1-kickoff", "mine", "", "agent-ses_"]) {
      assert.ok(rewrite(message(id))?.includes("secret"), id);
    }
    for (const id of ["ses_2", "agent-ses_2-1", "agent-ses_1-ses_2", "ses_11", "x-SES_2", "xses_2"]) {
      assert.equal(rewrite(message(id)), undefined, id);
      // As the media WebSocket has it.
      assert.equal(rewrite(JSON.stringify({ type: "init", session_id: id })), undefined, `init ${id}`);
      assert.equal(
        rewrite(`{"type":"init","session\\u005fid":${JSON.stringify(id)}}`),
        undefined,
        `escaped ${id}`,
      );
    }
    for (const other of ["ses_2", "helix-ses_2"]) {
      assert.equal(rewrite(`{"AuthenticateAndInit":{"client_unique_id":"${other}"}}`), undefined, other);
      assert.equal(rewrite(`["${other}"]`), undefined, other);
    }
    assert.ok(rewrite('{"AuthenticateAndInit":{"client_unique_id":"processes_2"}}'));
    const twice = '{"type":"init","session_id":"ses_2","session_id":"ses_1"}';
    assert.equal(rewrite(twice), '{"type":"init","session_id":"ses_1"}', "what was checked is what is sent");
  });

  it("lets a session join and keep streams of its own only, by whatever kind of message", () => {
    const opened = new OpenedStreams();
    const [mine, other] = ["ses_1", "ses_2"].map((id) => opened.of({ id, instanceId: "a" }));
    assert.ok(mine !== undefined && other !== undefined);
    const init = (id: string, mode?: unknown): string =>
      JSON.stringify({ AuthenticateAndInit: { session_id: id, mode } });
    assert.ok("text" in withCredentials(init("browser-1", "create"), "secret", other));
    assert.ok("text" in withCredentials(init("browser-2"), "secret", mine));
    assert.ok("text" in withCredentials(init("browser-1", "create"), "secret", mine), "Moonlight refuses it");
    for (const [id, isOwn] of [
      ["browser-1", false],
      ["browser-2", true],
      ["browser-3", false],
      ["", false],
      ["agent-ses_", false],
      ["agent-ses_1", true],
      ["agent-ses_1-kickoff", true],
    ] as const) {
      const texts = ["join", "keepalive", "Create", null, { join: null }].map((mode) => init(id, mode));
      for (const text of [...texts, JSON.stringify({ type: "init", session_id: id })]) {
        const refusal = "the message names a stream that its session has not opened";
        const checked = withCredentials(text, "secret", mine);
        assert.deepEqual(
          "refusal" in checked ? checked.refusal : undefined,
          isOwn ? undefined : refusal,
          text,
        );
      }
    }
  });

  it("refuses a session_id that is no string, whatever is in it", () => {
    for (const id of [
      "1",
      "null",
      "true",
      "{}",
      '["mine"]',
      '{"0":"mine"}',
      '[["mine"]]',
      "[]",
      '{"toString":"mine"}',
    ]) {
      for (const text of [
        `{"AuthenticateAndInit":{"session_id":${id}}}`,
        `{"type":"init","session_id":${id}}`,
      ]) {
        assert.deepEqual(check(text), { refusal: "the message's session_id is no string" }, text);
      }
    }
    for (const id of ['["agent-ses_2"]', '{"x":["ses_2"]}']) {
      assert.equal(rewrite(`{"AuthenticateAndInit":{"session_id":${id}}}`), undefined, id);
    }
  });
});

describe("credentialPump", () => {
  beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
  afterEach(() => mock.timers.reset());

  const INIT = encodeMaskedText('{"AuthenticateAndInit":{"session_id":"ses_1"}}');
  const PING = Buffer.from([0x89, 0x80, 0, 0, 0, 0]);

  function start() {
    const [from, to] = [new PassThrough(), new PassThrough()];
    const codes: number[] = [];
    credentialPump("secret", streamsOf("ses_1"), ({ code }) => codes.push(code))(from, to);
    return { from, to, codes };
  }

  it("steps aside behind the first message: nothing of ours looks at later bytes", async () => {
    const { from, to, codes } = start();
    const seen: Buffer[] = [];
    to.on("data", (bytes: Buffer) => seen.push(bytes));
    const before = from.listenerCount("data");
    from.write(Buffer.concat([PING, INIT, Buffer.from("behind")]));
    await turn(3);
    from.write(PING);
    await turn(3);
    const sent = Buffer.concat(seen);
    assert.deepEqual(sent.subarray(0, PING.length), PING);
    assert.ok(sent.toString("latin1").endsWith(`behind${PING.toString("latin1")}`));
    assert.equal(from.listenerCount("data"), before, "the pipe's alone");
    mock.timers.tick(FIRST_MESSAGE_TIMEOUT_MS);
    assert.deepEqual(codes, []);
  });

  it("closes with 1008 where there is no whole first message in time, however busy its sender is", async () => {
    const { from, to, codes } = start();
    from.write(PING);
    mock.timers.tick(FIRST_MESSAGE_TIMEOUT_MS - 1);
    from.write(INIT.subarray(0, -1));
    await turn(3);
    assert.deepEqual(codes, []);
    mock.timers.tick(1);
    from.write(INIT.subarray(-1));
    await turn(3);
    assert.deepEqual([codes, to.read()], [[1008], null]);
  });

  it("closes once where there are more control frames or fragments than any client sends", async () => {
    const fragment = Buffer.from([0x00, 0x80, 0, 0, 0, 0]);
    const text = Buffer.from([0x01, 0x80, 0, 0, 0, 0]);
    for (const [frames, count] of [
      [PING, MAX_EARLY_CONTROL_FRAMES + 1],
      [fragment, MAX_FIRST_MESSAGE_FRAGMENTS],
    ] as const) {
      const { from, to, codes } = start();
      if (frames === fragment) from.write(text);
      for (let n = 0; n < count - 1; n += 1) from.write(frames);
      await turn(3);
      assert.deepEqual(codes, []);
      for (let n = 0; n < 10; n += 1) from.write(frames);
      await turn(3);
      assert.deepEqual([codes, to.read()], [[1008], null]);
    }
  });

  it("leaves no timer behind a caller that leaves", async () => {
    const { from, codes } = start();
    from.destroy();
    await turn(3);
    mock.timers.tick(FIRST_MESSAGE_TIMEOUT_MS);
    assert.deepEqual(codes, []);
  });
});
