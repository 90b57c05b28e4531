/**
 * Trap: bytes that share a packet with the upgrade come as `head`, not on the socket: without unshift() both HTTP/2 sessions die
 * of a protocol error, or one waits endlessly. Where a socket holds several pieces of them and the first ends the session, node
 * throws at the second.
 * Guards: `socket.unshift(head)` in src/agent/carriers/ptth.ts and src/control/admission/agent-endpoint.ts; the early stream in
 * src/agent/carriers/websocket.ts; `dropUnreadBytes()` in src/wire/streams/native-session.ts.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { createHash } from "node:crypto";
import { after, describe, it } from "node:test";
import { createAgent } from "../../src/agent/agent.ts";
import { AGENT_ENDPOINT_PATH, WEBSOCKET_SUBPROTOCOL } from "../../src/wire/protocol.ts";
import { eventually, within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { ADMIN_TOKEN, startSystem } from "../support/system.ts";

after(() => assertNothingOpen());

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const EMPTY_SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ";

/** A control plane that says 101, preface and SETTINGS in one packet. */
async function connectsTo(
  carrier: "ptth" | "websocket",
  respond: (request: string) => Buffer,
): Promise<void> {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (request: Buffer) => socket.write(respond(request.toString("latin1"))));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const events: string[] = [];
  const agent = createAgent({
    server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    runners: { "runner-1": { echo: "127.0.0.1:1" } },
    token: { value: ADMIN_TOKEN },
    carrier,
    connections: 1,
    drainMs: 0,
    onEvent: (event) => events.push(event.type),
  });
  try {
    await eventually(() => agent.connections === 1, "the agent's connection");
    assert.deepEqual(events, [], "it has neither failed nor been sent a request for its identity");
  } finally {
    server.close();
    await agent.close();
  }
}

describe("bytes in the same packet as the upgrade", () => {
  it("reach the agent's HTTP/2 session on ptth", async () => {
    await connectsTo("ptth", () =>
      Buffer.concat([Buffer.from(`${SWITCH}ptth\r\n\r\n`), PREFACE, EMPTY_SETTINGS]),
    );
  });

  it("reach the agent's HTTP/2 session on websocket", async () => {
    await connectsTo("websocket", (request) => {
      const key = /sec-websocket-key: (\S+)/i.exec(request)?.[1] ?? "";
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      const fields = `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${WEBSOCKET_SUBPROTOCOL}`;
      const message = Buffer.concat([PREFACE, EMPTY_SETTINGS]);
      return Buffer.concat([
        Buffer.from(`${SWITCH}websocket\r\n${fields}\r\n\r\n`),
        Buffer.from([0x82, message.length]),
        message,
      ]);
    });
  });

  it("reach the control plane's HTTP/2 session when the agent's SETTINGS follow its request", async () => {
    await using system = await startSystem({ agents: 0 });
    const socket = net.connect(system.controlPlane.port, "127.0.0.1");
    const fields = `Host: x\r\nConnection: Upgrade\r\nUpgrade: ptth\r\nALPN: h2\r\nAuthorization: Bearer ${ADMIN_TOKEN}`;
    socket.write(
      Buffer.concat([
        Buffer.from(`GET ${AGENT_ENDPOINT_PATH}?runnerid=runner-1 HTTP/1.1\r\n${fields}\r\n\r\n`),
        EMPTY_SETTINGS,
      ]),
    );
    // A control plane that has our SETTINGS asks for /hello: a HEADERS frame (type 1).
    const requested = Promise.withResolvers<void>();
    let seen = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      if (frameTypes(seen).includes(1)) requested.resolve();
    });
    await within(requested.promise, "a request of the control plane");
    socket.destroy();
  });

  it("end their own HTTP/2 session where they are no frames, in however many pieces they are read", async () => {
    await using system = await startSystem({ agents: 0 });
    const socket = net.connect(system.controlPlane.port, "127.0.0.1");
    socket.on("error", () => {}); // permanent
    const closed = once(socket, "close");
    const fields = `Host: x\r\nConnection: Upgrade\r\nUpgrade: ptth\r\nALPN: h2\r\nAuthorization: Bearer ${ADMIN_TOKEN}`;
    const garbage = "no frame ".repeat(1_000);
    socket.write(`GET ${AGENT_ENDPOINT_PATH}?runnerid=runner-1 HTTP/1.1\r\n${fields}\r\n\r\n${garbage}`);
    socket.resume();
    await within(closed, "the end of the connection");
    const response = await fetch(`http://127.0.0.1:${system.controlPlane.port}/healthz`);
    assert.equal(response.status, 200, "the process that would have ended serves others");
  });
});

function frameTypes(bytes: Buffer): number[] {
  const start = bytes.indexOf(PREFACE);
  const types: number[] = [];
  if (start < 0) return types;
  for (let at = start + PREFACE.length; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    types.push(bytes.readUInt8(at + 3));
  }
  return types;
}
