/** An agent on the websocket carrier that sends its bytes in pieces or in frames without end. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import {
  HTTP2_HANDSHAKE_TIMEOUT_MS,
  MAX_WEBSOCKET_CHUNKS,
  MAX_WEBSOCKET_FRAGMENTS,
} from "../../../src/wire/limits.ts";
import { WEBSOCKET_SUBPROTOCOL } from "../../../src/wire/protocol.ts";
import { turn, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, startControlPlane } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

async function openCarrier(port: number): Promise<Socket> {
  const request = http.get({
    host: "127.0.0.1",
    port,
    path: "/api/v1/revdial?runnerid=runner",
    agent: false,
    headers: {
      authorization: `Bearer ${ADMIN_TOKEN}`,
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": `${"A".repeat(22)}==`,
      "sec-websocket-protocol": WEBSOCKET_SUBPROTOCOL,
    },
  });
  const [, socket] = (await within(once(request, "upgrade"), "the carrier")) as [unknown, Socket];
  socket.setNoDelay(true);
  socket.on("error", () => {}); // permanently
  socket.resume();
  return socket;
}

describe("a message on the websocket carrier", () => {
  for (const [how, count, begin, piece] of [
    [
      "in more pieces than any agent's",
      MAX_WEBSOCKET_CHUNKS,
      [0x82, 0xff, 0, 0, 0, 0, 0, 16, 0, 0, 1, 2, 3, 4],
      [7],
    ],
    [
      "in more frames than any proxy's",
      MAX_WEBSOCKET_FRAGMENTS,
      [0x02, 0x80, 1, 2, 3, 4],
      [0x00, 0x80, 1, 2, 3, 4],
    ],
  ] as const) {
    it(`${how} ends the carrier before its handshake's deadline would`, async () => {
      await using controlPlane = await startControlPlane();
      const startedAt = performance.now();
      const socket = await openCarrier(controlPlane.port);
      let isClosed = false;
      const closed = once(socket, "close").then(() => (isClosed = true));
      socket.write(Buffer.from(begin));
      let sent = 0;
      for (; sent < 2 * count && !isClosed; sent += 1) {
        socket.write(Buffer.from(piece));
        await turn(); // a piece of its own
      }
      if (performance.now() - startedAt < HTTP2_HANDSHAKE_TIMEOUT_MS)
        assert.ok(sent < 2 * count, `${sent} pieces`);
      socket.destroy();
      await closed;
    });
  }
});
