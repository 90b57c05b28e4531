/** Callers that leave in the middle of a refused handshake, or never close: nothing stays open for them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { afterEach, describe, it } from "node:test";
import { via } from "../../support/callers.ts";
import { within } from "../../support/events.ts";
import { acceptKey } from "../../support/extended-connect.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import type { RawRequest, RawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

function handshake(path: string = via("/"), version = "1.1"): string {
  const lines = [`GET ${path} HTTP/${version}`, "Host: cp.example", `Authorization: Bearer ${ADMIN_TOKEN}`];
  return [
    ...lines,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${KEY}`,
    "",
    "",
  ].join("\r\n");
}

/** A caller that never ends its half by itself, with the first bytes of the response. */
async function connectHalfOpen(system: System): Promise<{ socket: net.Socket; first: string }> {
  const socket = net.connect({ port: system.controlPlane.port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {}); // permanently
  socket.write(handshake());
  const [first] = (await within(once(socket, "data"), "the response")) as [Buffer];
  socket.resume();
  return { socket, first: first.toString("latin1") };
}

/** The target's own response to a handshake (RFC 6455 §4.2.2). */
function accept({ head }: RawRequest): string {
  const key = /^sec-websocket-key: (.*)$/im.exec(head)?.[1] ?? "";
  const lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"];
  return [...lines, `Sec-WebSocket-Accept: ${acceptKey(key)}`, "", ""].join("\r\n");
}

/** Longer than a test waits: `close()` then returns for no other reason than that nothing is open. */
const DRAIN_MS = 600_000;

async function startWith(
  response: string | ((request: RawRequest) => void),
): Promise<System & { target: RawTarget }> {
  const target = await startRawTarget((request) => {
    if (typeof response === "string") request.socket.write(response);
    else response(request);
  });
  return Object.assign(await startSystem({ target, controlPlane: { drainMs: DRAIN_MS } }), { target });
}

describe("a caller over HTTP/1.1", () => {
  it("that leaves by FIN while a refusal is under way is reset at the target", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    await using system = await startWith(({ socket: target }) => {
      target.once("end", resolve);
      target.once("close", resolve);
      target.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
    });
    const { socket, first } = await connectHalfOpen(system);
    assert.match(first, /^HTTP\/1\.1 200 /);
    const closed = once(socket, "close");
    socket.end();
    await within(promise, "the end at the target");
    await within(closed, "the end at the caller");
  });

  for (const status of ["204 No Content", "304 Not Modified"]) {
    it(`that never closes is closed behind a refusal with ${status}`, async () => {
      await using system = await startWith(`HTTP/1.1 ${status}\r\n\r\n`);
      const { socket, first } = await connectHalfOpen(system);
      assert.ok(first.startsWith(`HTTP/1.1 ${status}`), first);
      await within(system.controlPlane.close(), "the end of the control plane");
      socket.destroy();
    });
  }

  it("that never closes is closed behind the end of its WebSocket", async () => {
    const closeFrame = Buffer.from([0x88, 0x02, 0x03, 0xe8]);
    await using system = await startWith((request) => {
      request.socket.write(accept(request));
      request.socket.end(closeFrame);
    });
    const { socket, first } = await connectHalfOpen(system);
    assert.match(first, /^HTTP\/1\.1 101 /);
    await within(system.controlPlane.close(), "the end of the control plane");
    socket.destroy();
  });

  it("that ends its half of a WebSocket is not held open by a target that never closes", async () => {
    await using system = await startWith((request) => void request.socket.write(accept(request)));
    const { socket } = await connectHalfOpen(system);
    const closed = once(socket, "close");
    socket.end();
    await within(closed, "the end at the caller");
  });
});

describe("an HTTP/1.0 request with an Upgrade", () => {
  it("is an ordinary request for a target", async () => {
    await using system = await startWith("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    const { statuses, text } = await exchangeRaw(system.controlPlane.port, handshake(via("/"), "1.0"));
    assert.deepEqual([statuses, text.slice(-2)], [[200], "ok"]);
    assert.ok(!/^upgrade:/im.test(system.target.heads[0] ?? "upgrade:"));
  });

  it("is no upgrade at the agent endpoint", async () => {
    await using system = await startWith("");
    const request = handshake("/api/v1/revdial?runnerid=r", "1.0").replace("websocket", "ptth");
    assert.deepEqual((await exchangeRaw(system.controlPlane.port, request)).statuses, [426]);
  });
});
