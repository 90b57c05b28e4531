/** What of a dial depends on time: its pick-up, and a half that has ended. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { webSocketPair } from "../../../test/support/websocket-pair.ts";
import { DIAL_TIMEOUT_MS } from "../limits.ts";
import { DialSocket } from "./dial-socket.ts";
import { HALF_CLOSED_IDLE_MS } from "./limits.ts";

function dial(): DialSocket {
  return new DialSocket({
    label: "runner target",
    isClientLost: () => false,
    confirmEnd: (done) => done(),
    onBytes: () => {},
    onFault: () => {},
  });
}

describe("a dial to a RevDial client", () => {
  it("fails when it is not picked up in time", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const waiting = dial();
    waiting.write("bytes that wait");
    t.mock.timers.tick(DIAL_TIMEOUT_MS);
    await assert.rejects(waiting.pickedUp, { code: "tunnel_timeout" });
    assert.ok(waiting.destroyed);
  });

  it("takes no more from its caller than it can hold until it is picked up", async (t) => {
    const waiting = dial();
    let written = 0;
    while (waiting.write(Buffer.alloc(16 * 1024))) written += 16 * 1024;
    assert.ok(written <= 256 * 1024, `${written} bytes`);
    const { webSocket, socket, client } = await webSocketPair(t);
    let received = 0;
    client.on("message", (data: Buffer) => (received += data.length));
    waiting.attach({ webSocket, socket, readsInPieces: false });
    await once(waiting, "drain");
    waiting.end();
    waiting.destroy();
    await once(client, "close");
    assert.equal(received, written + 16 * 1024);
  });

  it("reads the response of a target that has stopped reading, when its connection is reset under our writes", async (t) => {
    const { webSocket, socket, client } = await webSocketPair(t);
    const reset = Object.assign(new Error("write ECONNRESET"), { code: "ECONNRESET" });
    socket._write = (_chunk, _encoding, done) => done(reset);
    socket._writev = (_chunks, done) => done(reset);
    const dialled = dial();
    dialled.attach({ webSocket, socket, readsInPieces: false });
    const written = Promise.withResolvers<void>();
    dialled.write(Buffer.alloc(1_000), () => written.resolve());
    await written.promise;
    client.send(Buffer.from("413"));
    const [response] = (await once(dialled, "data")) as [Buffer];
    assert.equal(response.toString(), "413");
    dialled.destroy();
    await once(client, "close");
  });

  it("whose caller has ended its half stays open while the target sends", async (t) => {
    const { webSocket, socket, client } = await webSocketPair(t);
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const dialled = dial();
    dialled.attach({ webSocket, socket, readsInPieces: false });
    dialled.end("request");
    await once(client, "message");
    for (let n = 0; n < 2; n += 1) {
      t.mock.timers.tick(HALF_CLOSED_IDLE_MS - 1);
      client.send(Buffer.from("part of a response"));
      await once(dialled, "data");
    }
    assert.equal(client.readyState, client.OPEN);
    const ended = once(dialled, "end");
    t.mock.timers.tick(HALF_CLOSED_IDLE_MS);
    const [code] = (await once(client, "close")) as [number];
    assert.equal(code, 1000);
    await ended;
    t.mock.timers.reset();
  });

  it("sends a client that reads in pieces the next message only when it has read the last", async (t) => {
    const { webSocket, socket, client } = await webSocketPair(t);
    const sizes: number[] = [];
    const unread: Buffer[] = [];
    client.on("message", (data: Buffer) => sizes.push(data.length));
    client.on("ping", (data: Buffer) => unread.push(data));
    const dialled = dial();
    dialled.attach({ webSocket, socket, readsInPieces: true });
    dialled.write(Buffer.alloc(3_000));
    while (sizes.length < 3) await once(client, "message");
    assert.deepEqual(sizes, [1_200, 1_200, 600]);
    assert.equal(unread.length >= 2, true);
    dialled.destroy();
    await once(client, "close");
  });
});
