/** Content in chunks of one byte costs the control plane a few writes, and not one for each chunk, and arrives whole. */
import assert from "node:assert/strict";
import { ServerResponse } from "node:http";
import type { IncomingMessage } from "node:http";
import { Http2ServerResponse } from "node:http2";
import { afterEach, describe, it } from "node:test";
import { openCaller, via } from "../../support/callers.ts";
import { ending } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { connectRaw } from "../../support/raw-http.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import { startHttpTarget, startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const CHUNKS = 50_000;
/** Chunks are joined as far as they arrive together, which depends on the machine. */
const MOST = CHUNKS / 20;
const HEAD = `Host: x\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\nConnection: close\r\n`;
const CONTENT = `${"1\r\na\r\n".repeat(CHUNKS)}0\r\n\r\n`;

const chunkedTarget = () =>
  startTarget((socket) => {
    socket.once("data", () => {
      socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${CONTENT}`);
    });
  });

describe("a response in chunks of one byte", () => {
  for (const [kind, { prototype }] of [
    ["HTTP/1.1", ServerResponse],
    ["HTTP/2 by prior knowledge", Http2ServerResponse],
  ] as const) {
    it(`is few writes to a caller over ${kind}`, async ({ mock }) => {
      await using system = await startSystem({ target: await chunkedTarget() });
      await using caller = await openCaller(kind, system);
      const write = mock.method(prototype, "write");
      const { body } = await caller.open({ path: via("/"), bodyless: true }).response;
      assert.equal((await ending(body)).data.toString(), "a".repeat(CHUNKS));
      const writes = write.mock.callCount();
      assert.ok(writes > 0 && writes < MOST, `${writes} writes`);
    });
  }
});

describe("an upload in chunks of one byte", () => {
  it("is few chunks for the target", async () => {
    let pieces = 0;
    let bytes = 0;
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      request.on("data", (chunk: Buffer) => {
        pieces += 1;
        bytes += chunk.length;
      });
      request.on("end", () => response.end("done"));
    };
    await using system = await startSystem({ target: await startHttpTarget(serve) });
    await using caller = await openCaller("HTTP/1.1", system);
    await caller.call({ path: via("/") }); // its version is known from here on
    const socket = await connectRaw(system.controlPlane.port);
    socket.write(`POST ${via("/")} HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n${CONTENT}`);
    assert.match((await ending(socket)).data.toString("latin1"), /done/);
    socket.destroy();
    assert.equal(bytes, CHUNKS);
    assert.ok(pieces < MOST, `${pieces} pieces`);
  });
});
