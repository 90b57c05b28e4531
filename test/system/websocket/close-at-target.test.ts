/** A target whose WebSocket loses its caller gets a Close frame and FIN, whoever has ended the WebSocket. */
import assert from "node:assert/strict";
import net from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, describe, it } from "node:test";
import { MAX_HELD_FRAME_BYTES } from "../../../src/wire/limits.ts";
import { api, issueToken } from "../../support/api.ts";
import { PLAINTEXT_CALLERS, via } from "../../support/callers.ts";
import type { CallerKind } from "../../support/callers.ts";
import { EventLog } from "../../support/event-log.ts";
import { within } from "../../support/events.ts";
import { FollowedSocket, startFrameTarget } from "../../support/frame-target.ts";
import type { FrameTarget } from "../../support/frame-target.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RevDialClient } from "../../support/revdial-client.ts";
import { startScriptedAgent } from "../../support/scripted-agent.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System, SystemOptions } from "../../support/system.ts";
import { openWebSocket } from "../../support/websockets.ts";
import type { SocketCaller } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

const DISCONNECTED = "the client has disconnected";
const REVOKED = "the credential has been revoked";
const TUNNEL_CLOSED = "the tunnel connection has closed";

interface Scene {
  system: System;
  caller: SocketCaller;
  /** Below the caller's WebSocket. */
  raw: Duplex;
  /** The same WebSocket at the target. */
  seen: FollowedSocket;
}

type SceneOptions = Omit<SystemOptions, "target">;

async function play(
  kind: CallerKind,
  act: (scene: Scene) => Promise<void> | void,
  options: SceneOptions = {},
  extensions?: string,
): Promise<void> {
  const target = await startFrameTarget(undefined, extensions);
  const system = await startSystem({ ...options, target });
  await using caller = await openWebSocket(kind, system, via("/"));
  const seen = await firstOf(target);
  caller.socket.send("hello");
  await seen.frames.find(() => true, "the first frame");
  await act({ system, caller, raw: Reflect.get(caller.socket, "_socket") as Duplex, seen });
  seen.socket.destroy(); // it never closes by itself
  await caller[Symbol.asyncDispose]();
  await system.close();
}

async function asUser(kind: CallerKind, system: System): Promise<Omit<Scene, "system">> {
  const token = await issueToken(system.url, { id: "u", kind: "user", runners: [RUNNER] });
  const headers = { authorization: `Bearer ${token}` };
  const caller = await openWebSocket(kind, system, via("/"), { headers });
  const { followed } = system.target as FrameTarget;
  const seen = await followed.findNth(2, () => true, "the user's WebSocket");
  return { caller, raw: Reflect.get(caller.socket, "_socket") as Duplex, seen };
}

function firstOf(target: FrameTarget): Promise<FollowedSocket> {
  return target.followed.find(() => true, "the WebSocket at the target");
}

/** RST: of TCP, or of the HTTP/2 stream. */
function reset(raw: Duplex): void {
  if (raw instanceof net.Socket) raw.resetAndDestroy();
  else raw.destroy();
}

/** A masked frame whose mask is zero. */
function frame(payload: Buffer, opcode = 2, isFinal = true): Buffer {
  const header = Buffer.alloc(14);
  header[0] = (isFinal ? 0x80 : 0) | opcode;
  header[1] = 0xff;
  header.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([header, payload]);
}

const LARGE_FRAME = frame(Buffer.alloc(3 * MAX_HELD_FRAME_BYTES, "x"));

async function assertClosed(
  seen: FollowedSocket,
  texts: readonly string[] = ["hello"],
  reason: string = DISCONNECTED,
): Promise<void> {
  assert.deepEqual(await seen.ended, { by: "FIN", partBytes: 0 });
  assert.deepEqual(seen.closes, [ours(reason)]);
  assert.deepEqual(seen.texts, texts);
}

function ours(reason: string): FollowedSocket["closes"][number] {
  return { code: 1001, reason, isMasked: true };
}

for (const kind of PLAINTEXT_CALLERS) {
  describe(`the target of a WebSocket over ${kind}`, () => {
    it("gets a Close frame when the caller is reset", () =>
      play(kind, async ({ raw, seen }) => {
        reset(raw);
        await assertClosed(seen);
      }));

    it("gets the caller's own Close frame, and no second one", () =>
      play(kind, async ({ caller, raw, seen }) => {
        caller.socket.close(4000, "bye");
        await seen.frames.find(({ opcode }) => opcode === 8, "the Close frame");
        reset(raw);
        assert.deepEqual(await seen.ended, { by: "FIN", partBytes: 0 });
        assert.deepEqual(seen.closes, [{ code: 4000, reason: "bye", isMasked: true }]);
      }));

    it("gets nothing of a frame that the caller has not finished, and a Close frame behind the one before", () =>
      play(kind, async ({ raw, seen }) => {
        const whole = frame(Buffer.from("whole"));
        const part = frame(Buffer.alloc(MAX_HELD_FRAME_BYTES, "x")).subarray(0, -1);
        raw.write(Buffer.concat([whole, part]));
        await seen.frames.findNth(2, () => true, "the whole frame");
        raw.end();
        await assertClosed(seen, ["hello", "whole"]);
      }));

    it("gets a Close frame between two fragments of a message", () =>
      play(kind, async ({ raw, seen }) => {
        raw.write(frame(Buffer.from("begun"), 1, false));
        await seen.frames.find(({ isFinal }) => !isFinal, "the fragment");
        reset(raw);
        await assertClosed(seen, ["hello", "begun"]);
      }));

    it("gets a Close frame when the caller ends without one within a large frame, which comes in fragments", () =>
      play(kind, async ({ raw, seen }) => {
        raw.write(LARGE_FRAME.subarray(0, 15));
        raw.end();
        await assertClosed(seen);
      }));

    it("gets a Close frame behind a fragment when the credential is revoked within a large frame", () =>
      play(kind, async ({ system }) => {
        const { raw, seen: other } = await asUser(kind, system);
        raw.write(LARGE_FRAME.subarray(0, -1));
        await other.frames.findNth(2, () => true, "two fragments");
        await api(system.url, "DELETE", "/api/v1/tokens/u");
        await assertClosed(other, Array<string>(2).fill("x".repeat(MAX_HELD_FRAME_BYTES)), REVOKED);
        other.socket.destroy();
      }));

    it("gets a Close frame from the agent when the tunnel is lost within a large frame", () =>
      play(
        kind,
        async ({ system, raw, seen }) => {
          raw.write(LARGE_FRAME.subarray(0, -1));
          await seen.frames.findNth(3, () => true, "two fragments");
          system.path?.reset();
          await assertClosed(seen, seen.texts, TUNNEL_CLOSED);
        },
        { faulty: true },
      ));

    it("gets FIN alone within a large frame where an extension was agreed on: nobody else may cut it", () =>
      play(
        kind,
        async ({ raw, seen }) => {
          raw.write(LARGE_FRAME.subarray(0, 20_000));
          raw.end();
          assert.deepEqual(await seen.ended, { by: "FIN", partBytes: 20_000 });
          assert.deepEqual([seen.closes, seen.texts.length], [[], 1]);
        },
        {},
        "permessage-deflate",
      ));

    it("gets a Close frame when the credential is revoked, and nothing that the caller sends later", () =>
      play(kind, async ({ system, seen }) => {
        const { caller, raw, seen: other } = await asUser(kind, system);
        await api(system.url, "DELETE", "/api/v1/tokens/u");
        if (raw.writable) raw.write(frame(Buffer.from("later")));
        await assertClosed(other, [], REVOKED);
        assert.equal((await caller.closed).code, 1008);
        assert.deepEqual(seen.closes, [], "another credential's");
        other.socket.destroy();
      }));

    it("gets a Close frame when its runner is kicked", () =>
      play(
        kind,
        async ({ system, caller, seen }) => {
          system.controlPlane.kick(RUNNER);
          await assertClosed(seen, ["hello"], TUNNEL_CLOSED);
          assert.equal((await caller.closed).code, 1012);
        },
        { controlPlane: { drainMs: 0 } },
      ));

    it("gets a Close frame from the agent when the tunnel is lost", () =>
      play(
        kind,
        async ({ system, caller, seen }) => {
          system.path?.reset();
          await assertClosed(seen, ["hello"], TUNNEL_CLOSED);
          assert.equal((await caller.closed).code, 1012);
        },
        { faulty: true },
      ));

    it("gets a Close frame when the control plane stops, whether the caller responds to its own or not", () =>
      play(kind, async ({ system, caller, seen }) => {
        const closing = system.controlPlane.close();
        const { code } = await caller.closed;
        assert.equal(code, 1012);
        // ws responds with the code that it has got.
        assert.equal((await seen.ended).by, "FIN");
        assert.deepEqual(
          seen.closes.map(({ code: atTarget, isMasked }) => [atTarget, isMasked]),
          [[1012, true]],
        );
        seen.socket.destroy();
        await within(closing, "the end of the control plane");
      }));

    it("gets the reason of a stop where the caller ends without a Close frame behind ours", () =>
      play(kind, async ({ system, raw, seen }) => {
        raw.removeAllListeners("data");
        raw.once("data", () => raw.end());
        const closing = system.controlPlane.close();
        await assertClosed(seen, ["hello"], "the control plane is restarting");
        seen.socket.destroy();
        await within(closing, "the end of the control plane");
      }));
  });
}

describe("a caller that does not read", () => {
  it("costs it its WebSocket, and the target gets a Close frame", () =>
    play(
      "HTTP/1.1",
      async ({ raw, seen }) => {
        raw.pause();
        const flood = (): void => {
          while (seen.socket.writable && seen.socket.write(Buffer.alloc(64 * 1024)));
        };
        seen.socket.on("drain", flood);
        flood();
        await seen.frames.find(({ opcode }) => opcode === 8, "the Close frame");
        assert.deepEqual(seen.closes, [ours("the caller has stopped reading")]);
        seen.socket.off("drain", flood);
      },
      { controlPlane: { callerStallMs: 300 } },
    ));
});

/** Each of these needs the control plane's own Close frame: nobody behind it sends one. */
const LOSSES: readonly [what: string, reason: string, lose: (raw: Duplex, system: System) => unknown][] = [
  ["the caller is reset", DISCONNECTED, (raw) => reset(raw)],
  ["the caller ends without one", DISCONNECTED, (raw) => raw.end()],
  ["the credential is revoked", REVOKED, (_raw, { url }) => api(url, "DELETE", "/api/v1/tokens/u")],
];

it("a target behind RevDial gets a Close frame when the client is kicked", async () => {
  const target = await startFrameTarget();
  await using system = await startSystem({ agents: 0, target, controlPlane: { drainMs: 0 } });
  await using _client = await RevDialClient.connect({ url: system.url, target });
  await using caller = await openWebSocket("HTTP/1.1", system, via("/", "default"));
  caller.socket.send("hello");
  const seen = await firstOf(target);
  await seen.frames.find(() => true, "the first frame");
  for (const { connections } of system.controlPlane.runners()) {
    for (const connection of connections) connection.destroy("a test");
  }
  await assertClosed(seen, ["hello"], TUNNEL_CLOSED);
  assert.equal((await caller.closed).code, 1012);
  seen.socket.destroy();
});

for (const [what, reason, lose] of LOSSES) {
  describe(`when ${what}`, () => {
    async function play(
      system: System,
      target: string,
      followed: () => Promise<FollowedSocket>,
    ): Promise<void> {
      const token = await issueToken(system.url, { id: "u", kind: "user", runners: [RUNNER] });
      const headers = { authorization: `Bearer ${token}` };
      await using caller = await openWebSocket("HTTP/1.1", system, via("/", target), { headers });
      caller.socket.send("hello");
      const seen = await followed();
      await seen.frames.find(() => true, "the first frame");
      await lose(Reflect.get(caller.socket, "_socket") as Duplex, system);
      await seen.frames.find(({ opcode }) => opcode === 8, "the Close frame");
      assert.deepEqual([seen.closes, seen.texts], [[ours(reason)], ["hello"]]);
      if (target === TARGET) assert.equal((await seen.ended).by, "FIN");
      seen.socket.destroy();
    }

    it("an agent of an older version gets the Close frame on the stream, and END_STREAM", async () => {
      await using system = await startSystem({ agents: 0 });
      const followed = new EventLog<FollowedSocket>();
      await using _agent = await startScriptedAgent(system.controlPlane, {
        capabilities: ["websocket"],
        onStream: (stream) => {
          stream.respond({ ":status": 200 });
          followed.push(new FollowedSocket(stream));
        },
      });
      await play(system, TARGET, () => followed.find(() => true, "the stream"));
    });

    it("a target behind RevDial gets one, and its FIN later: RevDial has no half-close", async () => {
      const target = await startFrameTarget();
      await using system = await startSystem({ agents: 0, target });
      await using _client = await RevDialClient.connect({ url: system.url, target });
      await play(system, "default", () => firstOf(target));
    });
  });
}
