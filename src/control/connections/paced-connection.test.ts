import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { PacedConnection } from "./paced-connection.ts";
import { Turns } from "./turns.ts";

describe("PacedConnection", () => {
  it("is not read on where all connections' input has taken its time of the turn, until its turn comes", async (t) => {
    const server = net.createServer();
    t.after(() => server.close());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
    t.after(() => client.destroy());
    const [socket] = (await once(server, "connection")) as [net.Socket];
    t.after(() => socket.destroy());

    const turns = new Turns();
    const waiting: (() => void)[] = [];
    t.mock.method(turns, "spendInput", () => true);
    t.mock.method(turns, "laterInput", (job: () => void) => void waiting.push(job));
    const paced = new PacedConnection(socket, turns);
    assert.equal(paced.isUsed, false);
    socket.on("data", () => {});
    client.write("GET /");
    await once(socket, "data");
    assert.deepEqual([socket.isPaused(), waiting.length], [true, 1]);
    waiting.shift()?.();
    assert.equal(socket.isPaused(), false);
    client.write(" HTTP/1.1");
    await once(socket, "data");
    assert.deepEqual([socket.isPaused(), waiting.length], [true, 1]);
  });
});
