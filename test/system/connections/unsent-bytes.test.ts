/** What the system takes of a connection whose peer does not read. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { describe, it } from "node:test";
import { descriptorOf, listen } from "../../../src/control/listener/listen.ts";
import { MAX_UNSENT_BYTES } from "../../../src/wire/limits.ts";
import { limitUnsentBytes } from "../../../src/wire/system/unsent-bytes.ts";

/** What a peer's system takes that has never read. */
const RECEIVED_BYTES = 256 * 1024;

describe("the port", () => {
  it("lets the system take of its connections no more than it can send soon", async (t) => {
    const server = net.createServer();
    t.after(() => server.close());
    const { port } = await listen(server, { port: 0, host: "127.0.0.1" });
    if (!limitUnsentBytes(await heldDescriptor(t))) return t.skip("the system has no such option");
    const client = net.connect(port, "127.0.0.1").pause();
    t.after(() => client.destroy());
    const [socket] = (await once(server, "connection")) as [net.Socket];
    t.after(() => socket.destroy());
    const chunk = Buffer.alloc(64 * 1024);
    for (let isFull = false; !isFull;) {
      const before = socket.writableLength;
      socket.write(chunk);
      await new Promise((resolve) => void setImmediate(resolve));
      isFull = before > 0 && socket.writableLength > before;
    }
    const takenBytes = socket.bytesWritten - socket.writableLength;
    assert.ok(takenBytes <= MAX_UNSENT_BYTES + RECEIVED_BYTES, `${takenBytes} bytes`);
  });
});

describe("limitUnsentBytes", () => {
  it("returns false for what is no TCP socket", () => {
    assert.equal(limitUnsentBytes(-1), false);
  });
});

/** Of another server than the one that is tried. */
async function heldDescriptor(t: { after: (close: () => void) => void }): Promise<number> {
  const server = net.createServer();
  t.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return descriptorOf(server) ?? -1;
}
