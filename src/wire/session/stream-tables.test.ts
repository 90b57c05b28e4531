import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { replaceStreamTables } from "./stream-tables.ts";

/** A session of each role, over TCP. */
async function connect() {
  const server = http2.createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = http2.connect(`http://127.0.0.1:${port}`);
  client.on("error", () => {});
  const isReplacedBefore = replaceStreamTables(client);
  const early = client.request({ ":method": "POST", ":path": "/early" });
  early.on("error", () => {});
  const [session] = (await once(server, "session")) as [ServerHttp2Session];
  return {
    client,
    session,
    early,
    isReplaced: isReplacedBefore && replaceStreamTables(session),
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

async function echoed(stream: http2.ClientHttp2Stream, text: string): Promise<string> {
  stream.end(text);
  let received = "";
  for await (const chunk of stream) received += String(chunk);
  return received;
}

describe("a session with stream tables of ours", () => {
  it("has them on this version of node, in both roles", async () => {
    await using pair = await connect();
    assert.equal(pair.isReplaced, true);
    assert.equal(replaceStreamTables(pair.client), false, "not twice");
  });

  it("serves streams that were opened before and after its 'connect', also many at once", async () => {
    await using pair = await connect();
    assert.equal(await echoed(pair.early, "early"), "early");
    const texts = Array.from({ length: 50 }, (_, index) => `stream ${index}`);
    const streams = texts.map((text) =>
      echoed(pair.client.request({ ":method": "POST", ":path": "/" }), text),
    );
    assert.deepEqual(await Promise.all(streams), texts);
  });

  it("ends all its streams with it: open ones, and those without an id yet", async () => {
    await using pair = await connect();
    const open = pair.client.request({ ":method": "POST", ":path": "/" });
    await once(open, "response");
    const pending = pair.client.request({ ":method": "POST", ":path": "/" });
    const closed = [pair.early, open, pending].map((stream) => {
      stream.on("error", () => {});
      return once(stream, "close");
    });
    pair.client.destroy();
    await Promise.all(closed);
  });

  it("closes when its last stream has ended, and not before", async () => {
    await using pair = await connect();
    await once(pair.early, "response");
    pair.client.close();
    assert.equal(await echoed(pair.early, "late"), "late");
    if (!pair.client.destroyed) await once(pair.client, "close");
  });
});
