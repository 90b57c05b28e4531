/** WebSockets to Moonlight Web's double: every byte that is sent comes back, and the close code. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { afterEach, describe, it } from "node:test";
import { CALLERS } from "../../support/callers.ts";
import { startDoubles, viaMoonlight } from "../../support/doubles.ts";
import type { DoubleSystem } from "../../support/doubles.ts";
import { within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { openWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

const ECHO = viaMoonlight("/api/ws/echo?codec=h264&x=%2F");
const LARGE_BYTES = 3 * 1024 * 1024;

for (const kind of CALLERS) {
  describe(`a WebSocket over ${kind}`, () => {
    it("carries text and binary messages of all sizes, in order", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openWebSocket(kind, doubles.system, ECHO);
      const sent = ["", "größe", Buffer.alloc(0), randomBytes(125), randomBytes(65_536), "x".repeat(70_000)];
      for (const message of sent) caller.socket.send(message);
      for (const message of sent) {
        const { data, isBinary } = await caller.message();
        assert.equal(isBinary, typeof message !== "string");
        assert.ok(data.equals(Buffer.from(message)));
      }
    });

    it("carries 3 MB in one message", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openWebSocket(kind, doubles.system, ECHO, { perMessageDeflate: false });
      const sent = randomBytes(LARGE_BYTES);
      caller.socket.send(sent);
      const { data, isBinary } = await caller.message();
      assert.ok(isBinary && data.equals(sent));
    });

    it("carries compressed messages if the two ends agree on permessage-deflate", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openWebSocket(kind, doubles.system, ECHO, { perMessageDeflate: true });
      assert.match(caller.socket.extensions, /permessage-deflate/);
      const sent = "compressible ".repeat(100_000);
      caller.socket.send(sent);
      assert.equal(await caller.text(), sent);
      assert.match(String(lastHandshake(doubles)?.headers["sec-websocket-extensions"]), /permessage-deflate/);
    });

    it("has the target's sub-protocol, query and nothing of the caller's credential", async () => {
      await using doubles = await startDoubles({ tls: true });
      const protocols = ["moonlight.v2", "moonlight.v1"];
      await using caller = await openWebSocket(kind, doubles.system, ECHO, {
        protocols,
        headers: { cookie: "a=b" },
      });
      assert.equal(caller.socket.protocol, "moonlight.v2");
      const seen = lastHandshake(doubles);
      assert.equal(seen?.url, "/api/ws/echo?codec=h264&x=%2F");
      assert.equal(seen.headers["sec-websocket-protocol"], protocols.join(","));
      assert.equal(seen.headers.cookie, "a=b");
      assert.equal(seen.headers.authorization, undefined);
    });

    it("brings the target's close code and reason", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openWebSocket(kind, doubles.system, ECHO);
      caller.socket.send("close:4000:superseded by größe");
      assert.deepEqual(await within(caller.closed, "the close"), {
        code: 4000,
        reason: "superseded by größe",
      });
      await within(doubles.moonlight.whenIdle(), "the target's end closed");
    });

    it("brings the caller's close code and reason", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openWebSocket(kind, doubles.system, ECHO);
      caller.socket.close(4001, "the tab was closed");
      // The target sends back the code and the reason that it received: they have passed both ways.
      assert.deepEqual(await within(caller.closed, "the close"), {
        code: 4001,
        reason: "the tab was closed",
      });
      await within(doubles.moonlight.whenIdle(), "the target's end closed");
    });
  });
}

function lastHandshake({ moonlight }: DoubleSystem) {
  return moonlight.requests.findLast(({ url }) => url.startsWith("/api/ws/echo"));
}
