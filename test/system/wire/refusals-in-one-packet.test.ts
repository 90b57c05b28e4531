/**
 * An agent that is not ours responds frame by frame: what is a refusal, a close of the target, and a cut. What the frames
 * say must not depend on the carrier, nor on how they are packed.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import type { Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import type { ControlPlane } from "../../../src/control/control-plane.ts";
import { via } from "../../support/callers.ts";
import { ending, eventually, within } from "../../support/events.ts";
import { serveFrames } from "../../support/frame-server.ts";
import type { FrameServerOptions } from "../../support/frame-server.ts";
import { call, errorCode } from "../../support/http.ts";
import { dataFrame, FRAME, headersFrame, rstFrame } from "../../support/http2-frames.ts";
import type { Field, Frame } from "../../support/http2-frames.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, isConnected, RUNNER, startControlPlane, TARGET } from "../../support/system.ts";
import { refusedWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

const CARRIERS = ["ptth", "websocket"] as const;
const NO_ERROR = 0;
const INTERNAL_ERROR = 2;
const REFUSED: readonly Field[] = [
  [":status", "502"],
  ["proxy-status", 'turnabout; error=connection_refused; details="target_refused"'],
];

interface Stand extends AsyncDisposable {
  controlPlane: ControlPlane;
  url: string;
}

async function start(
  carrier: FrameServerOptions["carrier"],
  onFrame: FrameServerOptions["onFrame"],
): Promise<Stand> {
  const controlPlane = await startControlPlane({ drainMs: 200 });
  const agent = await serveFrames({
    port: controlPlane.port,
    token: ADMIN_TOKEN,
    carrier,
    runner: RUNNER,
    targets: [TARGET],
    capabilities: ["websocket"],
    onFrame,
  });
  await eventually(() => isConnected(controlPlane), "registration");
  return {
    controlPlane,
    url: `http://127.0.0.1:${controlPlane.port}`,
    [Symbol.asyncDispose]: async () => {
      agent.destroy();
      await controlPlane.close();
    },
  };
}

/** A CONNECT of the forward proxy: its status, and the socket behind it. */
async function connect({ controlPlane }: Stand): Promise<{ status: number; code: string; socket: Socket }> {
  const authority = `${TARGET}.${RUNNER}`;
  const credentials = Buffer.from(`x:${ADMIN_TOKEN}`).toString("base64");
  const opening = request({
    port: controlPlane.port,
    host: "127.0.0.1",
    method: "CONNECT",
    path: authority,
    agent: false,
    headers: { host: authority, "proxy-authorization": `Basic ${credentials}` },
  });
  opening.end();
  const [response, socket, head] = (await within(once(opening, "connect"), "a response to CONNECT")) as [
    { statusCode: number; headers: Record<string, string> },
    Socket,
    Buffer,
  ];
  socket.on("error", () => {}); // permanently
  if (head.length > 0) socket.unshift(head);
  return { status: response.statusCode, code: response.headers["proxy-status"] ?? "", socket };
}

for (const carrier of CARRIERS) {
  describe(`a refusal over ${carrier}, in one write with its reset`, () => {
    for (const code of [NO_ERROR, INTERNAL_ERROR]) {
      it(`reaches every kind of caller with its reason: RST_STREAM ${code}`, async () => {
        await using stand = await start(carrier, ({ type, stream }) =>
          type === FRAME.HEADERS ? [headersFrame(stream, REFUSED, true), rstFrame(stream, code)] : [],
        );
        for (let n = 0; n < 10; n += 1) {
          const response = await call(`${stand.url}${via("/")}`);
          assert.deepEqual([response.status, errorCode(response)], [502, "target_refused"]);
        }
        const upload = await call(`${stand.url}${via("/")}`, { method: "POST", body: Buffer.alloc(200_000) });
        assert.deepEqual([upload.status, errorCode(upload)], [502, "target_refused"]);
        const tunnel = await connect(stand);
        tunnel.socket.destroy();
        assert.equal(tunnel.status, 502);
        assert.match(tunnel.code, /target_refused/);
        const dialled = stand.controlPlane.dial(RUNNER, TARGET);
        await assert.rejects(dialled, { code: "target_refused" });
        const system = { controlPlane: stand.controlPlane, pki: undefined };
        const socket = await refusedWebSocket("HTTP/1.1", system, via("/"));
        assert.deepEqual(
          [socket.status, errorCode({ ...socket, body: socket.text })],
          [502, "target_refused"],
        );
      });
    }
  });

  describe(`a target's end over ${carrier}`, () => {
    const ok = (stream: number): Buffer => headersFrame(stream, [[":status", "200"]], false);
    const connected = (then: (stream: number) => readonly Buffer[]) => {
      return ({ type, stream }: Frame): readonly Buffer[] => {
        return type === FRAME.HEADERS ? [ok(stream), ...then(stream)] : [];
      };
    };
    const http10 = "HTTP/1.0 200 OK\r\n\r\nwhole";

    it("is clean with END_STREAM, also if RST_STREAM(NO_ERROR) declines the rest of what we send", async () => {
      await using stand = await start(
        carrier,
        connected((stream) => [dataFrame(stream, http10, true), rstFrame(stream, NO_ERROR)]),
      );
      assert.equal((await call(`${stand.url}${via("/")}`)).body, "whole");
      const upload = await call(`${stand.url}${via("/")}`, { method: "POST", body: Buffer.alloc(100_000) });
      assert.deepEqual([upload.status, upload.body], [200, "whole"]);
      const { socket } = await connect(stand);
      const end = await ending(socket);
      assert.deepEqual([end.kind, end.data.toString()], ["end", http10]);
      socket.destroy();
      const dialled = await stand.controlPlane.dial(RUNNER, TARGET);
      dialled.on("error", () => {});
      dialled.write("nobody takes this");
      const read = await ending(dialled);
      assert.deepEqual([read.kind, read.data.toString()], ["end", http10]);
      dialled.destroy();
    });

    for (const [what, frames] of [
      [
        "RST_STREAM(NO_ERROR) without END_STREAM",
        (id: number) => [dataFrame(id, http10), rstFrame(id, NO_ERROR)],
      ],
      [
        "another code behind END_STREAM",
        (id: number) => [dataFrame(id, http10, true), rstFrame(id, INTERNAL_ERROR)],
      ],
      ["another code", (id: number) => [dataFrame(id, http10), rstFrame(id, INTERNAL_ERROR)]],
    ] as const) {
      it(`is broken with ${what}`, async () => {
        await using stand = await start(carrier, connected(frames));
        await assert.rejects(async () => {
          const response = await call(`${stand.url}${via("/")}`);
          assert.equal(response.status, 502);
          throw new Error("as it should be");
        });
        const { socket } = await connect(stand);
        const end = await ending(socket);
        assert.equal(end.kind, "error");
        socket.destroy();
        const dialled = await stand.controlPlane.dial(RUNNER, TARGET);
        assert.equal((await ending(dialled)).kind, "error");
      });
    }

    it("is broken with RST_STREAM(NO_ERROR) without END_STREAM when our own half has ended", async () => {
      await using stand = await start(carrier, ({ type, flags, stream }) => {
        if (type === FRAME.HEADERS) return [ok(stream)];
        const isEnd = type === FRAME.DATA && (flags & 1) === 1;
        return isEnd ? [dataFrame(stream, "cut"), rstFrame(stream, NO_ERROR)] : [];
      });
      const dialled = await stand.controlPlane.dial(RUNNER, TARGET);
      const end = ending(dialled);
      dialled.end("all");
      assert.equal((await end).kind, "error");
      const { socket } = await connect(stand);
      const far = ending(socket);
      socket.end("all");
      assert.equal((await far).kind, "error");
      socket.destroy();
    });
  });
}
