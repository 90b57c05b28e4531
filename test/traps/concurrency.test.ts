/**
 * Traps: a request queued inside nghttp2 at the peer's stream limit fails with ENHANCE_YOUR_CALM when a local abort
 * frees its slot; requests made before SETTINGS go out beyond the limit and are refused.
 * Guards: OPEN_STREAMS_PER_CONNECTION below AGENT_MAX_STREAMS, kept by src/control/registry/agent-connection.ts; `established()` in
 * src/wire/session/reversed-session.ts waits for the peer's SETTINGS.
 */
import assert from "node:assert/strict";
import type { ClientHttp2Stream } from "node:http2";
import { after, describe, it } from "node:test";
import type { AgentConnection } from "../../src/control/registry/agent-connection.ts";
import { TurnaboutError } from "../../src/wire/errors.ts";
import { AGENT_MAX_STREAMS, OPEN_STREAMS_PER_CONNECTION } from "../../src/wire/limits.ts";
import { openReversed } from "../../src/wire/session/reversed-session.ts";
import { connectionOn, openWith } from "../support/agent-connection.ts";
import { openCarrier } from "../support/carriers.ts";
import { eventually, next, turn } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { openSessionPair } from "../support/session-pair.ts";

after(() => assertNothingOpen());

const CONNECT = { ":method": "CONNECT", ":authority": "echo.runner" };

async function open(connection: AgentConnection, count: number): Promise<ClientHttp2Stream[]> {
  const streams = Array.from({ length: count }, () => openWith(connection, CONNECT));
  const responses = await Promise.all(
    streams.map((stream) => next<[{ ":status": number }]>(stream, "response")),
  );
  assert.ok(responses.every(([headers]) => headers[":status"] === 200));
  return streams;
}

describe("a connection's streams", () => {
  it("stay below the limit that the agent announces", async () => {
    assert.ok(OPEN_STREAMS_PER_CONNECTION < AGENT_MAX_STREAMS);
    await using pair = await openSessionPair();
    assert.equal(pair.control.remoteSettings.maxConcurrentStreams, AGENT_MAX_STREAMS);
  });

  it("are refused at once beyond our limit, and never by nghttp2, whatever is aborted", async () => {
    await using pair = await openSessionPair();
    const connection = connectionOn(pair);
    const streams = await open(connection, OPEN_STREAMS_PER_CONNECTION);
    const isOverloaded = (error: unknown) => error instanceof TurnaboutError && error.code === "overloaded";
    for (let n = 0; n < 200; n += 1) assert.throws(() => openWith(connection, CONNECT), isOverloaded);
    for (const stream of streams.slice(0, 200)) stream.destroy(new Error("aborted"));
    await eventually(
      () => connection.openStreams === OPEN_STREAMS_PER_CONNECTION - 200,
      "the aborted streams' end",
    );
    await open(connection, 200);
    assert.throws(() => openWith(connection, CONNECT), isOverloaded);
  });

  it("are not opened before the agent's SETTINGS", async () => {
    const carrier = await openCarrier("tcp");
    let ready = false;
    const opening = openReversed(carrier.control).then((session) => {
      ready = true;
      return session;
    });
    await next(carrier.agent, "data"); // preface and SETTINGS of the control plane
    await turn(20);
    assert.equal(ready, false);
    carrier.agent.write(Buffer.from([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2])); // MAX_CONCURRENT_STREAMS = 2
    const session = await opening;
    assert.equal(session.remoteSettings.maxConcurrentStreams, 2);
    session.destroy();
    await carrier.close();
  });

  it("fail within the handshake's deadline if SETTINGS never come, and the carrier is closed", async () => {
    const carrier = await openCarrier("tcp");
    carrier.agent.resume();
    const closed = next(carrier.agent, "close");
    await assert.rejects(openReversed(carrier.control, { timeoutMs: 50 }), { code: "carrier_failed" });
    await closed;
    await carrier.close();
  });
});
