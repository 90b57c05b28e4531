import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, describe, it } from "node:test";
import { assertNothingOpen } from "../../../test/support/nothing-open.ts";
import { Call } from "./call.ts";
import { openMessageSocket } from "./message-socket.ts";

afterEach(() => assertNothingOpen());

describe("a handshake", () => {
  const cases = [
    ["that is refused, and its refusal cannot be sent", [], /cannot be sent/],
    ["with a sub-protocol that is none", ["a b"], /subprotocol/i],
  ] as const;
  for (const [name, protocols, message] of cases) {
    it(`${name}, fails and leaves nothing open`, async () => {
      const server = createServer((_request, response) => response.writeHead(403).end("no"));
      server.on("upgrade", (_request, socket) => socket.end("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const stream = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
      await once(stream, "connect");
      const closed = once(stream, "close");
      using call = new Call("test WS /", 2_000, undefined);
      const refused = (): Error => {
        throw new Error("the refusal cannot be sent");
      };
      const opening = openMessageSocket(
        stream,
        { path: "/", protocols, maxMessageBytes: 100, refused },
        call,
      );
      await assert.rejects(opening, message);
      await closed;
      server.close();
    });
  }
});
