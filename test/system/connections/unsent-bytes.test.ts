/** What the system takes of a connection whose peer does not read. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { connectTarget } from "../../../src/agent/targets/connect-target.ts";
import { connectTcp } from "../../../src/agent/transport/tcp.ts";
import { listen } from "../../../src/control/listener/listen.ts";
import { MAX_UNSENT_BYTES } from "../../../src/wire/limits.ts";
import { limitUnsentBytes } from "../../../src/wire/system/unsent-bytes.ts";
import { turn } from "../../support/events.ts";

/** What a peer's system takes that has never read. */
const RECEIVED_BYTES = 256 * 1024;

/** Writes until the system takes no more. @returns how much it has taken */
async function takenBytes(socket: net.Socket): Promise<number> {
  const chunk = Buffer.alloc(64 * 1024);
  for (let isFull = false; !isFull;) {
    const before = socket.writableLength;
    socket.write(chunk);
    await turn();
    isFull = before > 0 && socket.writableLength > before;
  }
  return socket.bytesWritten - socket.writableLength;
}

/** A server whose connections nobody reads. */
async function deafPort(t: TestContext): Promise<number> {
  const server = net.createServer({ pauseOnConnect: true }, (socket) => t.after(() => socket.destroy()));
  t.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return port;
}

const OPENED: Readonly<Record<string, (t: TestContext) => Promise<net.Socket>>> = {
  "a connection that the port has accepted": async (t) => {
    const server = net.createServer();
    t.after(() => server.close());
    const { port } = await listen(server, { port: 0, host: "127.0.0.1" });
    const client = net.connect(port, "127.0.0.1").pause();
    t.after(() => client.destroy());
    const [socket] = (await once(server, "connection")) as [net.Socket];
    return socket;
  },
  "an agent's connection to a target": async (t) => {
    const { promise, resolve } = Promise.withResolvers<net.Socket>();
    const address = { kind: "tcp", host: "127.0.0.1", port: await deafPort(t) } as const;
    connectTarget(address, "target", (_error, socket) => resolve(socket));
    return promise;
  },
  "an agent's connection to its control plane": async (t) =>
    connectTcp("127.0.0.1", await deafPort(t), new AbortController().signal),
};

describe("the system takes no more than it can send soon", () => {
  for (const [name, open] of Object.entries(OPENED)) {
    it(`of ${name}`, async (t) => {
      const socket = await open(t);
      t.after(() => socket.destroy());
      if (!limitUnsentBytes(await otherServer(t))) return t.skip("the system has no such option");
      const bytes = await takenBytes(socket);
      assert.ok(bytes <= MAX_UNSENT_BYTES + RECEIVED_BYTES, `${bytes} bytes`);
    });
  }
});

describe("limitUnsentBytes", () => {
  it("returns false for what is no TCP socket, or not open", () => {
    assert.equal(limitUnsentBytes(new net.Socket()), false);
  });
});

/** Another one than the one that is tried. */
async function otherServer(t: TestContext): Promise<net.Server> {
  const server = net.createServer();
  t.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}
