/** A streamer ends with its viewer, as its server sees it: whoever ends the WebSocket, Moonlight Web gets a Close frame. */
import assert from "node:assert/strict";
import net from "node:net";
import { afterEach, describe, it } from "node:test";
import { api } from "../../support/api.ts";
import { eventually } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { promptly } from "../../support/stopwatch.ts";
import { init, openSocket, SECRET, SOCKET_KINDS, startMoonlight } from "./moonlight-stand.ts";
import type { BareSocket, MoonlightStand } from "./moonlight-stand.ts";

afterEach(() => assertNothingOpen());

const AT_ONCE_MS = 2_000;

/** The streams that Moonlight Web has. */
async function streams({ moonlight }: MoonlightStand): Promise<unknown[]> {
  const { body } = await call(`${moonlight.url}/api/sessions`, { token: SECRET });
  return (JSON.parse(body) as { sessions: unknown[] }).sessions;
}

const candidate = (n: number): string =>
  JSON.stringify({ Signaling: { AddIceCandidate: { candidate: `candidate:${n}` } } });

type End = (stand: MoonlightStand, socket: BareSocket) => Promise<unknown> | void;

const DISCONNECTED = "the client has disconnected";
const REVOKED = "the credential has been revoked";
const SESSION_ENDED = "the session has ended";
const TUNNEL_CLOSED = "the tunnel connection has closed";

/** And the reason in the Close frame. */
const ENDS: Readonly<Record<string, readonly [reason: string, end: End]>> = {
  "its viewer is reset": [
    DISCONNECTED,
    (_stand, { stream }) => {
      if (stream instanceof net.Socket) stream.resetAndDestroy();
      else stream.destroy(new Error("reset"));
    },
  ],
  "its viewer ends without a Close frame": [DISCONNECTED, (_stand, { stream }) => void stream.end()],
  "its viewer vanishes in the middle of a message": [
    DISCONNECTED,
    (_stand, { stream, frame }) => {
      stream.write(frame(JSON.stringify({ Signaling: { note: "x".repeat(40_000) } })).subarray(0, 30_000));
      stream.end();
    },
  ],
  "the viewer's token is revoked": [REVOKED, ({ url }) => api(url, "DELETE", "/api/v1/tokens/alice")],
  "the session is deleted": [
    SESSION_ENDED,
    ({ url, session }) => api(url, "DELETE", `/api/v1/sessions/${session.id}`),
  ],
  "the viewer's token is revoked within a large frame": [
    REVOKED,
    ({ url }, { stream, frame }) => {
      stream.write(frame("x".repeat(200_000)).subarray(0, 50_000));
      return api(url, "DELETE", "/api/v1/tokens/alice");
    },
  ],
  "the session is deleted within a large frame": [
    SESSION_ENDED,
    ({ url, session }, { stream, frame }) => {
      stream.write(frame("x".repeat(100_000)).subarray(0, 15));
      return api(url, "DELETE", `/api/v1/sessions/${session.id}`);
    },
  ],
  "the runner is kicked": [
    TUNNEL_CLOSED,
    ({ sessions }) => {
      for (const { connections } of sessions.system.controlPlane.runners()) {
        for (const connection of connections) connection.destroy("a test");
      }
    },
  ],
};

for (const kind of SOCKET_KINDS) {
  describe(`a stream of a viewer by ${kind}`, () => {
    for (const [what, [reason, end]] of Object.entries(ENDS)) {
      it(`ends when ${what}`, async () => {
        await using stand = await startMoonlight();
        const { url, path, alice, session, moonlight } = stand;
        await using socket = await openSocket(kind, url, path, { token: alice });
        socket.send(init(session.id));
        await socket.messages.find(() => true, "the stream's first message");
        assert.equal((await streams(stand)).length, 1);
        await end(stand, socket);
        const ended = eventually(() => moonlight.state.streams.size === 0, "the end of the streamer");
        await promptly(ended, "the end of the streamer", AT_ONCE_MS);
        assert.deepEqual(await streams(stand), []);
        assert.deepEqual(
          moonlight.closes.map(({ path: _path, ...close }) => close),
          [{ code: 1001, reason, isMasked: true }],
        );
      });
    }
  });
}

it("a WebSocket whose first message is refused is closed at Moonlight Web too", async () => {
  await using stand = await startMoonlight();
  const { url, path, alice, session, moonlight } = stand;
  await using socket = await openSocket("HTTP/1.1 Upgrade", url, path, { token: alice });
  socket.send(init(session.id, { note: "x".repeat(70_000) }));
  assert.equal((await socket.closed)?.code, 1009);
  await eventually(() => moonlight.closes.length === 1, "the Close frame");
  assert.deepEqual([moonlight.closes[0]?.code, moonlight.state.streams.size], [1001, 0]);
});

it("a stream that has ended stays ended: nothing of a caller whose token is revoked arrives any more", async () => {
  await using stand = await startMoonlight();
  const { url, path, alice, session, moonlight, tap } = stand;
  await using socket = await openSocket("RFC 8441", url, path, { token: alice });
  socket.send(init(session.id));
  await socket.messages.find(() => true, "the stream's first message");
  const revoked = api(url, "DELETE", "/api/v1/tokens/alice");
  for (let n = 0; n < 50; n += 1) socket.send(candidate(n));
  await revoked;
  await eventually(() => moonlight.closes.length === 1, "the Close frame");
  const { length } = tap.toService();
  for (let n = 0; n < 50 && socket.stream.writable; n += 1) socket.send(candidate(n));
  await socket.closed;
  await moonlight.whenIdle();
  assert.equal(tap.toService().length, length);
});
