import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ServerEvent } from "../../clients/api/server-events.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { describeAccessLine } from "./access-line.ts";
import { follow } from "./follow.ts";

type Attempt = (onOpen: () => void) => AsyncGenerator<ServerEvent, void, undefined>;

/** What one attempt after the other does. */
async function run(attempts: Attempt[]): Promise<{ seen: string[]; error: unknown }> {
  const seen: string[] = [];
  const stop = new AbortController();
  const open: Attempt = (onOpen) => {
    const attempt = attempts.shift();
    if (attempt !== undefined) return attempt(onOpen);
    stop.abort();
    return nothing();
  };
  const options = {
    signal: stop.signal,
    onLost: (reason: string) => seen.push(`lost: ${reason}`),
    onReopened: () => seen.push("reopened"),
  };
  try {
    for await (const { data } of follow(open, options)) seen.push(data);
    return { seen, error: undefined };
  } catch (error) {
    return { seen, error };
  }
}

async function* nothing(): AsyncGenerator<ServerEvent, void, undefined> {}

function sends(data: string): Attempt {
  return async function* sending(onOpen) {
    onOpen();
    yield { type: "line", data };
  };
}

function fails(error: Error): Attempt {
  return async function* failing() {
    yield* await Promise.reject<ServerEvent[]>(error);
  };
}

const unreachable = fails(new TurnaboutError("carrier_failed", "nothing listens"));

describe("follow", () => {
  it("connects again after each end, and reports the gap once", async () => {
    const { seen, error } = await run([sends("1"), unreachable, unreachable, sends("2")]);
    assert.equal(error, undefined);
    assert.deepEqual(seen, [
      "1",
      "lost: the control plane has ended it",
      "reopened",
      "2",
      "lost: the control plane has ended it",
    ]);
  });

  it("fails where it never was open, or where the credential is no longer good", async () => {
    assert.equal(((await run([unreachable])).error as TurnaboutError).code, "carrier_failed");
    const { seen, error } = await run([sends("1"), fails(new TurnaboutError("unauthenticated", "revoked"))]);
    assert.equal((error as TurnaboutError).code, "unauthenticated");
    assert.deepEqual(seen, ["1", "lost: the control plane has ended it"]);
  });
});

describe("a line for people", () => {
  it("has what was asked for, who did, and how long it took", () => {
    const line = {
      time: "2026-11-28T01:47:10.123Z",
      way: "route",
      method: "GET",
      path: "/a",
      status: 502,
      code: "target_refused",
      credential: "alice",
      client: "192.0.2.7",
      runner: "host-1",
      target: "web",
      bytesIn: 5,
      bytesOut: 5_120,
      queueMs: 0.04,
      totalMs: 4.6,
    };
    assert.equal(
      describeAccessLine(JSON.stringify(line)),
      "01:47:10.123Z 502 target_refused GET /a host-1/web alice 192.0.2.7 in 5 B out 5.1 kB 4.6 ms (queue 0.0 ms)",
    );
  });

  it("writes nothing on the terminal but text, whatever a caller has sent", () => {
    const text = describeAccessLine(JSON.stringify({ path: "/\u001b[2J\n", method: "GET" }));
    assert.match(text, /^[ -~\ufffd]+$/);
  });
});
