/** Ends of data connections: whether they are the target's own, or cut its response. */
import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import type { WebSocket } from "ws";
import { PINGS_BURST } from "../../../src/control/revdial/limits.ts";
import { keptLog } from "../../support/agents.ts";
import { openCaller, via } from "../../support/callers.ts";
import { EventLog } from "../../support/event-log.ts";
import { ending, next } from "../../support/events.ts";
import type { Ending } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startFrameTarget } from "../../support/frame-target.ts";
import { RevDialClient } from "../../support/revdial-client.ts";
import { startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget, startTarget } from "../../support/target.ts";
import { openWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

/** How a response ends that goes up to the close, after `close` has closed its data connection. */
async function endOf(close: (client: RevDialClient) => void): Promise<Ending["kind"]> {
  await using system = await startSystem({ agents: 0 });
  await using target = await startTarget((socket) => {
    socket.once("data", () => socket.write("HTTP/1.0 200 OK\r\n\r\npart"));
  });
  await using client = await RevDialClient.connect({ url: system.url, target });
  await using caller = await openCaller("HTTP/1.1", system);
  const open = caller.open({ path: via("/", "default"), bodyless: true });
  open.request.end();
  const response = await open.response;
  const end = ending(response.body);
  await next(response.body, "data");
  close(client);
  return (await end).kind;
}

describe("the end of a data connection without a Close frame", () => {
  it("is the target's, where its client lives", async () => {
    const kind = await endOf((client) => {
      for (const socket of client.data) socket.terminate();
    });
    assert.equal(kind, "end");
  });

  it("is none of the target, where its client dies, however much later that is seen", async () => {
    const kind = await endOf((client) => {
      // No pong is sent any more: the process is dead, and the FIN of its control connection is on its way.
      client.control.pong = () => {};
      client.control.once("ping", () => client.control.terminate());
      for (const socket of client.data) socket.terminate();
    });
    assert.equal(kind, "error");
  });
});

it("an idle connection that has ended is not used again, although it is not confirmed yet that its client lives", async () => {
  await using system = await startSystem({ agents: 0 });
  await using target = await startHttpTarget((request, response) => void request.pipe(response));
  await using client = await RevDialClient.connect({ url: system.url, target });
  await using caller = await openCaller("HTTP/1.1", system);
  const post = { method: "POST", path: via("/", "default") };
  assert.equal((await caller.call({ ...post, body: "first" })).text, "first");
  client.control.pong = () => {};
  for (const socket of client.data) {
    (Reflect.get(socket, "_socket") as Socket).end();
    await next(socket, "close"); // behind the control plane's FIN
  }
  assert.equal((await caller.call({ ...post, body: "second" })).text, "second");
});

interface DataConnection {
  webSocket: WebSocket;
  /** Below it. */
  socket: Socket;
}

/** How a response ends that goes up to the close, of a client that sends all of its bytes itself. */
async function endOfOwn(
  system: System,
  send: (connection: DataConnection) => void,
): Promise<{ kind: Ending["kind"]; text: string }> {
  const paths = new EventLog<string>();
  const target = { address: "unix:/never" };
  await using client = await RevDialClient.connect({
    url: system.url,
    target,
    onDial: (path) => paths.push(path),
  });
  await using caller = await openCaller("HTTP/1.1", system);
  const open = caller.open({ path: via("/", "default"), bodyless: true });
  open.request.end();
  const webSocket = client.open(client.pickupUrl(await paths.find(() => true, "a dial")));
  const opened = next(webSocket, "open");
  const [{ socket }] = await next<[IncomingMessage]>(webSocket, "upgrade");
  await opened;
  webSocket.send(Buffer.from("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart"));
  const response = await open.response;
  let text = "";
  response.body.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const end = ending(response.body);
  await next(response.body, "data");
  send({ webSocket, socket });
  const { kind } = await end;
  webSocket.terminate();
  return { kind, text };
}

/** Masked with zeros. */
const CLOSE_1000 = "8882 00000000 03e8";
const FRAGMENT = "0284 00000000 61626364";
const LAST_FRAGMENT = "8082 00000000 6566";
const PING = "8980 00000000";

describe("the end of a data connection", () => {
  const ends: [where: string, bytes: string, kind: Ending["kind"]][] = [
    ["between two messages", "", "end"],
    ["behind a message of several frames", FRAGMENT + PING + LAST_FRAGMENT, "end"],
    ["behind a Close frame, with bytes after it", CLOSE_1000 + "82", "end"],
    ["within the payload of a frame", "82fe 1000 00000000 61626364", "error"],
    ["within the header of a frame", "82", "error"],
    ["within a message", FRAGMENT, "error"],
    ["within a message, behind a PING", FRAGMENT + PING, "error"],
    ["by a Close frame within a message", FRAGMENT + CLOSE_1000, "error"],
  ];
  it("is the target's between two messages, and cuts the response within one", async () => {
    await using system = await startSystem({ agents: 0 });
    for (const [where, bytes, expected] of ends) {
      const { kind } = await endOfOwn(system, ({ socket }) => {
        socket.end(Buffer.from(bytes.replaceAll(" ", ""), "hex"));
      });
      assert.equal(kind, expected, where);
    }
  });

  it("is not caused by a burst of PINGs, some hundreds of which are all responded to", async () => {
    await using system = await startSystem({ agents: 0 });
    let pongs = 0;
    const { kind, text } = await endOfOwn(system, ({ webSocket, socket }) => {
      webSocket.on("pong", () => (pongs += 1));
      socket.cork();
      for (let n = 0; n < 2_000; n += 1) {
        if (n < 200) webSocket.ping();
        webSocket.send(Buffer.from("."));
      }
      for (let n = 200; n < 2_000; n += 1) webSocket.ping();
      webSocket.close(1000);
      socket.uncork();
    });
    assert.deepEqual([kind, text.length], ["end", "part".length + 2_000]);
    assert.ok(pongs >= 200, `${pongs} PONGs`);
  });

  it("that a flood of PINGs causes is an error, with a Close frame to the client and a line in the log", async () => {
    const { log, lines } = keptLog();
    await using system = await startSystem({ agents: 0, controlPlane: { log } });
    const closed = Promise.withResolvers<number>();
    const { kind } = await endOfOwn(system, ({ webSocket, socket }) => {
      webSocket.once("close", (code) => closed.resolve(code));
      socket.cork();
      for (let n = 0; n < 2 * PINGS_BURST; n += 1) webSocket.ping();
      socket.uncork();
    });
    assert.equal(kind, "error");
    assert.equal(await closed.promise, 1008);
    await lines.find(({ fields }) => /more PINGs than it may send/.test(String(fields["reason"])), "a line");
  });
});

describe("a WebSocket whose caller does not respond to our Close frame", () => {
  for (const carrier of ["RevDial", "an agent"]) {
    it(`is closed at its target behind ${carrier} when the control plane stops`, async () => {
      const target = await startFrameTarget();
      const isClient = carrier === "RevDial";
      const controlPlane = { drainMs: 0 };
      await using system = await startSystem({ agents: isClient ? 0 : 1, target, controlPlane });
      await using client = isClient ? await RevDialClient.connect({ url: system.url, target }) : undefined;
      await using caller = await openWebSocket("HTTP/1.1", system, via("/", client && "default"));
      caller.socket.send("hello");
      const seen = await target.followed.find(() => true, "the WebSocket at the target");
      await seen.frames.find(() => true, "the first frame");
      caller.socket.pause();
      const closing = system.controlPlane.close();
      await seen.frames.find(({ opcode }) => opcode === 8, "the Close frame");
      assert.deepEqual(
        seen.closes.map(({ code, isMasked }) => [code, isMasked]),
        [[1001, true]],
      );
      seen.socket.destroy();
      await closing;
    });
  }
});
