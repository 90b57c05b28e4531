/** What docs/protocol.md says of the corners that a second implementation meets first. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { startFrameAgent } from "../../support/agent-endpoint.ts";
import { via } from "../../support/callers.ts";
import { ending, eventually, within } from "../../support/events.ts";
import { dialCarrier, serveFrames } from "../../support/frame-server.ts";
import {
  connectFrame,
  dataFrame,
  encodeFrame,
  FRAME,
  headersFrame,
  readFrames,
} from "../../support/http2-frames.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startScriptedAgent } from "../../support/scripted-agent.ts";
import { ADMIN_TOKEN, isConnected, RUNNER, startControlPlane, TARGET } from "../../support/system.ts";
import { startTarget } from "../../support/target.ts";
import { openWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

describe("an agent", () => {
  it("responds as `agent`, whatever the case, and with a port after it", async () => {
    await using to = await startFrameAgent({});
    const { client } = to;
    for (const [index, authority] of ["agent", "AGENT", "agent:80", "agent:x", "agent."].entries()) {
      const fields = [
        [":method", "GET"],
        [":scheme", "http"],
        [":authority", authority],
        [":path", "/ping"],
      ] as const;
      client.write(headersFrame(1 + 2 * index, fields, true));
    }
    while (client.streams.size < 5) await client.until(({ stream }) => stream > 0);
    const statuses = [...client.streams.values()].map(([first = ""]) => first.split(" ")[1]);
    assert.deepEqual(statuses, ["200", "200", "200", "403", "403"]);
  });

  it("passes a target's reset on as a code that is not NO_ERROR, behind the bytes before it", async () => {
    await using rude = await startTarget((socket) => {
      socket.write("before");
      socket.once("data", () => socket.resetAndDestroy());
    });
    await using to = await startFrameAgent({ rude: rude.address });
    const { client } = to;
    client.write(connectFrame(1, "rude.runner"));
    await client.until(({ type, stream }) => type === FRAME.DATA && stream === 1);
    client.write(dataFrame(1, "now"));
    await client.until(({ type }) => type === FRAME.RST_STREAM);
    assert.deepEqual(client.streams.get(1), ["HEADERS 200", "DATA 6", "RST_STREAM 2"]);
  });
});

describe("a control plane", () => {
  it("takes a PING before SETTINGS for an error of the connection", async () => {
    await using controlPlane = await startControlPlane({ drainMs: 5_000 });
    const carrier = await dialCarrier({
      port: controlPlane.port,
      token: ADMIN_TOKEN,
      carrier: "ptth",
      runner: RUNNER,
    });
    carrier.on("error", () => {});
    carrier.write(encodeFrame(FRAME.PING, 0, 0, Buffer.alloc(8)));
    const types: number[] = [];
    for await (const { type } of readFrames(carrier, 24)) types.push(type);
    assert.ok(types.includes(FRAME.GOAWAY));
    assert.deepEqual(controlPlane.runners(), []);
  });

  it("closes the carrier of a tunnel connection that drains when its last stream has ended", async () => {
    await using controlPlane = await startControlPlane({ drainMs: 5_000 });
    const agent = await serveFrames({
      port: controlPlane.port,
      token: ADMIN_TOKEN,
      carrier: "ptth",
      runner: RUNNER,
      targets: [TARGET],
      onFrame: ({ type, flags, stream }) => {
        if (type === FRAME.HEADERS) return [headersFrame(stream, [[":status", "200"]], false)];
        return type === FRAME.DATA && (flags & 1) === 1 ? [dataFrame(stream, "", true)] : [];
      },
    });
    await eventually(() => isConnected(controlPlane), "registration");
    const open = await controlPlane.dial(RUNNER, TARGET);
    assert.ok(controlPlane.kick(RUNNER));
    const closed = new Promise((resolve) => void agent.once("close", resolve));
    assert.equal(agent.destroyed, false, "a stream is open");
    const end = ending(open);
    open.end();
    assert.equal((await end).kind, "end");
    await within(closed, "the carrier's end");
  });

  it("ignores an agent's Sec-WebSocket-Accept: the caller has a key of its own", async () => {
    await using controlPlane = await startControlPlane({ drainMs: 5_000 });
    await using _agent = await startScriptedAgent(controlPlane, {
      capabilities: ["websocket"],
      onStream: (stream) => {
        stream.respond({ ":status": 200, "sec-websocket-accept": "of another key" });
        stream.write(Buffer.from([0x81, 0x02, 0x68, 0x69]));
      },
    });
    await using caller = await openWebSocket("HTTP/1.1", { controlPlane, pki: undefined }, via("/"));
    assert.equal(await caller.text(), "hi");
    caller.socket.terminate();
  });
});
