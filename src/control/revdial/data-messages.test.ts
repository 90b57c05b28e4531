/** Pieces for a client that loses what it has not read at once: the next one follows only on the PONG for the last. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EventLog } from "../../../test/support/event-log.ts";
import { webSocketPair } from "../../../test/support/websocket-pair.ts";
import { DataMessages } from "./data-messages.ts";
import { LOST_PONG_MS, SMALL_MESSAGE_BYTES } from "./limits.ts";

describe("a body for a client that reads in pieces", () => {
  it("goes on when a PONG was lost behind the client's own data, and not on the PONG for an earlier piece", async (t) => {
    const { webSocket, client } = await webSocketPair(t, { autoPong: false });
    let nowMs = 0;
    const messages = new DataMessages(webSocket, true, () => nowMs);
    const pieces = new EventLog<number>();
    client.on("message", (data: Buffer) => pieces.push(data.length));
    const pings = new EventLog<string>();
    client.on("ping", (data: Buffer) => pings.push(data.toString()));
    const arrived = new EventLog<string>();
    webSocket.on("message", (data: Buffer) => arrived.push(data.toString()));
    const arrive = async (text: string): Promise<void> => {
      client.send(text);
      await arrived.find((each) => each === text, text);
    };

    let isSent = false;
    messages.send(Buffer.alloc(2 * SMALL_MESSAGE_BYTES), () => (isSent = true));
    await pings.findNth(1, () => true, "a PING behind the first piece");
    await arrive("soon");
    nowMs += LOST_PONG_MS;
    await arrive("late");
    client.pong("x");
    await pings.findNth(2, () => true, "another PING");
    client.pong("1");
    client.pong("1");
    await pings.findNth(3, () => true, "a PING behind the second piece");
    await arrive("behind both PONGs");
    assert.deepEqual(pings.all, ["1", "1", "2"]);
    assert.deepEqual([pieces.all, isSent], [[SMALL_MESSAGE_BYTES, SMALL_MESSAGE_BYTES], false]);
    client.pong("2");
    await arrive("behind the last PONG");
    assert.equal(isSent, true);
  });
});
