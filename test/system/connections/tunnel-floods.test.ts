/** Either end of a tunnel connection ends it when its peer floods it, and leaves a busy one alone. */
import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { after, describe, it } from "node:test";
import { openReversed, serveReversed } from "../../../src/wire/session/reversed-session.ts";
import { openCarrier } from "../../support/carriers.ts";
import { ending, eventually, next } from "../../support/events.ts";
import { encodeFrame, FRAME, uint32 } from "../../support/http2-frames.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { echoStream, openSessionPair } from "../../support/session-pair.ts";

after(() => assertNothingOpen());

const FLOODS: Readonly<Record<string, Buffer>> = {
  PING: encodeFrame(FRAME.PING, 0, 0, Buffer.alloc(8)),
  SETTINGS: encodeFrame(FRAME.SETTINGS, 0, 0, Buffer.alloc(0)),
  GOAWAY: encodeFrame(FRAME.GOAWAY, 0, 0, Buffer.concat([uint32(0x7fffffff), uint32(0)])),
  WINDOW_UPDATE: encodeFrame(FRAME.WINDOW_UPDATE, 0, 0, uint32(1)),
  "an unknown frame": encodeFrame(0x99, 0, 0, Buffer.alloc(0)),
};

/** Writes as fast as the peer reads, until it has closed. */
function flood(socket: Duplex, frame: Buffer): void {
  const block = Buffer.concat(Array.from({ length: 2_000 }, () => frame));
  const send = (): void => {
    if (socket.destroyed || !socket.writable) return;
    socket.write(block, () => setImmediate(send));
  };
  send();
}

for (const [what, frame] of Object.entries(FLOODS)) {
  it(`the control plane ends an agent's flood of ${what}`, async () => {
    const carrier = await openCarrier("unix");
    const agent = carrier.agent;
    agent.on("error", () => {}); // permanent
    agent.on("data", () => {});
    agent.write(encodeFrame(FRAME.SETTINGS, 0, 0, Buffer.alloc(0)));
    const control = await openReversed(carrier.control);
    flood(agent, frame);
    if (!control.destroyed) await next(control, "close").catch(() => {});
    await eventually(() => carrier.control.destroyed, "the end of the carrier");
    await carrier.close();
  });

  it(`an agent ends its control plane's flood of ${what}`, async () => {
    const carrier = await openCarrier("unix");
    const control = carrier.control;
    control.on("error", () => {}); // permanent
    control.on("data", () => {});
    control.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    control.write(encodeFrame(FRAME.SETTINGS, 0, 0, Buffer.alloc(0)));
    const agent = await serveReversed(carrier.agent, () => {});
    flood(control, frame);
    if (!agent.destroyed) await next(agent, "close").catch(() => {});
    await eventually(() => carrier.agent.destroyed, "the end of the carrier");
    await carrier.close();
  });
}

it("the control plane ends an agent's flood of informational responses", async () => {
  await using pair = await openSessionPair({
    onStream: (stream) => {
      const send = (): void => {
        for (let n = 0; n < 100 && !stream.destroyed && !stream.closed; n += 1) {
          stream.additionalHeaders({ ":status": 103 });
        }
        if (!stream.destroyed && !stream.closed) setImmediate(send);
      };
      send();
    },
  });
  pair.connect();
  await next(pair.control, "close").catch(() => {});
  await eventually(() => pair.carrier.control.destroyed, "the end of the carrier");
});

describe("a busy tunnel connection", () => {
  it("is left alone: many small frames both ways, and downloads that consumers leave", async () => {
    await using pair = await openSessionPair({
      onStream: (stream, headers) => {
        if (headers[":authority"] !== "large.runner") return echoStream(stream);
        stream.respond({ ":status": 200 });
        stream.end(Buffer.alloc(1_500_000));
      },
    });
    for (let round = 0; round < 5; round += 1) {
      const leaving = Array.from({ length: 10 }, () => pair.tunnel("large.runner"));
      await Promise.all(leaving.map((socket) => next(socket, "data")));
      for (const socket of leaving) socket.destroy(new Error("left"));
    }
    const socket = pair.tunnel();
    let received = 0;
    socket.on("data", (chunk: Buffer) => (received += chunk.length));
    const count = 5_000;
    for (let n = 0; n < count; n += 1) {
      if (!socket.write("message!")) await next(socket, "drain");
    }
    await eventually(() => received === count * 8, "all messages");
    assert.equal(pair.control.destroyed || pair.agent.destroyed, false);
    const end = ending(socket);
    socket.end();
    await end;
  });
});
