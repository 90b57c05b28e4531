/** What the agent sends for a stream that it refuses: the response always comes, and comes before the reset. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { startFrameAgent } from "../../support/agent-endpoint.ts";
import { MAX_NOTICES_BYTES, NOTICES_BURST, STREAMS_PER_TARGET } from "../../../src/agent/limits.ts";
import type { FrameAgent } from "../../support/agent-endpoint.ts";
import {
  connectFrame,
  dataFrame,
  encodeFrame,
  FRAME,
  headersFrame,
  uint32,
} from "../../support/http2-frames.ts";
import type { Field } from "../../support/http2-frames.ts";
import { turn } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startEchoTarget, startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const STREAMS = 20;

interface Refused {
  name: string;
  fields: readonly Field[];
  status: number;
}

const connect = (authority: string): readonly Field[] => [
  [":method", "CONNECT"],
  [":authority", authority],
];
const request = (method: string, authority: string, path: string): readonly Field[] => [
  [":method", method],
  [":scheme", "http"],
  [":authority", authority],
  [":path", path],
];

const REFUSED: readonly Refused[] = [
  { name: "an unknown runner", fields: connect("echo.nosuch"), status: 404 },
  { name: "an unknown target", fields: connect("nosuch.runner"), status: 404 },
  { name: "an authority without a runner", fields: connect("echo"), status: 400 },
  { name: "a closed target", fields: connect("closed.runner"), status: 502 },
  { name: "another authority", fields: request("GET", "x.y", "/"), status: 403 },
  { name: "another path", fields: request("GET", "agent", "/nosuch"), status: 404 },
  { name: "another method", fields: request("PUT", "agent", "/hello"), status: 405 },
  { name: "a method that takes no notices", fields: request("GET", "agent", "/notices"), status: 405 },
  {
    name: "an unknown :protocol",
    fields: [...request("CONNECT", "echo.runner", "/"), [":protocol", "connect-ip"]],
    status: 403,
  },
];

/** In one write, so that they are refused in the turn in which the connection is read. */
async function refuse(
  to: FrameAgent,
  fields: readonly Field[],
  body: readonly Buffer[] | "none",
): Promise<string[]> {
  const { client } = to;
  const first = 1 + 2 * client.streams.size;
  const ids = Array.from({ length: STREAMS }, (_, i) => first + 2 * i);
  const frames = ids.flatMap((id) => [
    headersFrame(id, fields, body === "none"),
    ...(body === "none" ? [] : body.map((data) => dataFrame(id, data))),
  ]);
  client.write(...frames);
  const isSettled = (id: number): boolean => {
    const seen = client.streams.get(id) ?? [];
    return body === "none" ? seen.length > 0 : seen.some((frame) => frame.startsWith("RST_STREAM"));
  };
  while (!ids.every(isSettled)) await client.until(({ stream }) => stream > 0);
  await client.roundTrip();
  return [...new Set(ids.map((id) => (client.streams.get(id) ?? []).join(", ")))];
}

describe("an agent's refusal", () => {
  it("is a response with END_STREAM; a reset follows if the request continues, and never comes first", async () => {
    await using to = await startFrameAgent({ echo: "127.0.0.1:1", closed: "127.0.0.1:1" });
    for (const { name, fields, status } of REFUSED) {
      const response = `HEADERS ${status} END_STREAM`;
      assert.deepEqual(await refuse(to, fields, []), [`${response}, RST_STREAM 0`], `${name}, no data`);
      const data = [Buffer.alloc(1_000), Buffer.alloc(1_000)];
      assert.deepEqual(await refuse(to, fields, data), [`${response}, RST_STREAM 0`], `${name}, early data`);
      if (fields[0]?.[1] === "CONNECT") continue;
      assert.deepEqual(await refuse(to, fields, "none"), [response], `${name}, no body`);
    }
  });

  it("is a response also to notices that are too long", async () => {
    await using to = await startFrameAgent({ echo: "127.0.0.1:1" });
    const { client } = to;
    const piece = Buffer.alloc(16 * 1024, " ");
    const pieces = Array.from({ length: MAX_NOTICES_BYTES / piece.length }, () => dataFrame(1, piece));
    client.write(
      headersFrame(1, request("POST", "agent", "/notices"), false),
      ...pieces,
      dataFrame(1, piece),
    );
    await client.until(({ stream, type }) => stream === 1 && type === FRAME.RST_STREAM);
    // Without WINDOW_UPDATE.
    const seen = client.streams.get(1)?.filter((frame) => frame !== "frame 8");
    assert.deepEqual(seen, ["HEADERS 400 END_STREAM", "RST_STREAM 0"]);
  });

  it("is 429 for more notices than it takes", async () => {
    await using to = await startFrameAgent({ echo: "127.0.0.1:1" });
    const { client } = to;
    const ids = Array.from({ length: NOTICES_BURST + 50 }, (_, i) => 1 + 2 * i);
    const fields = request("POST", "agent", "/notices");
    client.write(...ids.flatMap((id) => [headersFrame(id, fields, false), dataFrame(id, "{}", true)]));
    while (ids.some((id) => client.streams.get(id) === undefined)) {
      await client.until(({ stream }) => stream > 0);
    }
    const counts = new Map<string, number>();
    for (const id of ids) {
      const [first = ""] = client.streams.get(id) ?? [];
      counts.set(first, (counts.get(first) ?? 0) + 1);
    }
    assert.deepEqual(new Set(counts.keys()), new Set(["HEADERS 204 END_STREAM", "HEADERS 429 END_STREAM"]));
    assert.ok((counts.get("HEADERS 204 END_STREAM") ?? 0) < NOTICES_BURST + 25);
  });

  it("waits with its reset for a response that the carrier does not take yet", async () => {
    await using flood = await startTarget((socket) => socket.write(Buffer.alloc(64 * 1024 * 1024)));
    await using to = await startFrameAgent({ flood: flood.address });
    const { client } = to;
    const window = encodeFrame(FRAME.WINDOW_UPDATE, 0, 0, uint32(0x4000_0000));
    const streamWindow = encodeFrame(FRAME.WINDOW_UPDATE, 0, 1, uint32(0x4000_0000));
    client.write(connectFrame(1, "flood.runner"), window, streamWindow);
    await client.until(({ type }) => type === FRAME.DATA);
    // Nothing is read from here on until the agent's socket is full.
    const [source] = flood.sockets;
    assert.ok(source !== undefined);
    let taken = -1;
    while (taken !== source.bytesWritten - source.writableLength) {
      taken = source.bytesWritten - source.writableLength;
      await turn(100);
    }
    assert.ok(source.writableLength > 0);
    const ids = Array.from({ length: STREAMS }, (_, i) => 3 + 2 * i);
    client.write(...ids.map((id) => connectFrame(id, "nosuch.runner")));
    await turn(100);
    while (ids.some((id) => client.streams.get(id)?.length !== 2)) {
      await client.until(({ type }) => type !== FRAME.DATA);
    }
    const seen = new Set(ids.map((id) => client.streams.get(id)?.join(", ")));
    assert.deepEqual([...seen], ["HEADERS 404 END_STREAM, RST_STREAM 0"]);
  });

  it(`refuses more than ${STREAMS_PER_TARGET} streams to one target with overloaded`, async () => {
    await using idle = await startTarget(() => {});
    await using to = await startFrameAgent({ idle: idle.address });
    const { client } = to;
    const ids = Array.from({ length: STREAMS_PER_TARGET + 48 }, (_, i) => 1 + 2 * i);
    client.write(...ids.map((id) => connectFrame(id, "idle.runner")));
    while (client.streams.size < ids.length) await client.until(({ stream }) => stream > 0);
    const statuses = ids.map((id) => client.streams.get(id)?.[0]);
    assert.equal(statuses.filter((each) => each === "HEADERS 200").length, STREAMS_PER_TARGET);
    assert.equal(statuses.filter((each) => each === "HEADERS 503 END_STREAM").length, 48);
  });

  it("is never a bare reset while it drains: a stream above the last one of its GOAWAY may be tried elsewhere", async () => {
    await using echo = await startEchoTarget();
    await using to = await startFrameAgent({ echo: echo.address }, { drainMs: 5_000 });
    const { client } = to;
    client.write(connectFrame(1, "echo.runner"));
    await client.until(({ stream }) => stream === 1);
    const closed = to.agent.close();
    const goaway = await client.until(({ type }) => type === FRAME.GOAWAY);
    assert.equal(goaway.payload.readUInt32BE(0), 1);
    client.write(connectFrame(3, "echo.runner"), dataFrame(1, "still here", true));
    await client.until(({ type, stream }) => type === FRAME.DATA && stream === 1);
    const late = client.streams.get(3)?.join(", ") ?? "left to the last stream id";
    const allowed = ["left to the last stream id", "RST_STREAM 7", "HEADERS 503 END_STREAM, RST_STREAM 0"];
    assert.ok(allowed.includes(late), late);
    client.socket.destroy();
    await closed;
  });
});
