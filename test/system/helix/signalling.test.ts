/** Moonlight Web's own signalling, whose handler dies of everything that is not one whole text message. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { CALLERS } from "../../support/callers.ts";
import { MOONLIGHT_CREDENTIALS, startDoubles, viaMoonlight } from "../../support/doubles.ts";
import { eventually, next, within } from "../../support/events.ts";
import { moonlightInit } from "../../support/moonlight-init.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { openWebSocket } from "../../support/websockets.ts";
import type { SocketCaller } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

const PATH = viaMoonlight("/api/host/stream");
const INIT = moonlightInit(MOONLIGHT_CREDENTIALS);

async function start(caller: SocketCaller): Promise<string[]> {
  caller.socket.send(JSON.stringify({ AuthenticateAndInit: INIT }));
  const seen: string[] = [];
  while (seen.at(-1) !== "WebRtcConfig") seen.push(tagOf(await caller.text()));
  return seen;
}

/** Rust's externally tagged enums: an object with one key, or a bare string. */
function tagOf(text: string): string {
  const value = JSON.parse(text) as Record<string, unknown> | string;
  return typeof value === "string" ? value : (Object.keys(value)[0] ?? "");
}

for (const kind of CALLERS) {
  describe(`signalling over ${kind}`, () => {
    it("completes up to the answer to an offer, past several keepalive intervals", async () => {
      const keepalive = { pingIntervalMs: 20, pingDeadlineMs: 5_000 };
      await using doubles = await startDoubles({ tls: true, controlPlane: keepalive, agent: keepalive });
      const { system, moonlight } = doubles;
      await using caller = await openWebSocket(kind, system, PATH);
      const seen = await start(caller);
      assert.deepEqual(seen.slice(0, 3), ["UpdateApp", "StageStarting", "StageComplete"]);
      const [connection] = system.controlPlane.runners()[0]?.connections ?? [];
      assert.ok(connection);
      for (let n = 1; n <= 5; n += 1) await next(connection.http2Session, "ping");
      const offer = { ty: "offer", sdp: "v=0\r\na=setup:actpass\r\n" };
      caller.socket.send(JSON.stringify({ Signaling: { Description: offer } }));
      const answer = { Description: { ty: "answer", sdp: "v=0\r\na=setup:active\r\n" } };
      await caller.messages.find(
        ({ data }) => String(data) === JSON.stringify({ Signaling: answer }),
        "the answer",
      );
      caller.socket.close();
      await within(moonlight.whenIdle(), "Moonlight Web idle");
      assert.deepEqual(moonlight.controlFrames, []);
    });

    const killers: Readonly<Record<string, (caller: SocketCaller) => void>> = {
      "a binary message": ({ socket }) => socket.send(Buffer.from("{}")),
      "a ping": ({ socket }) => socket.ping(),
      "a fragment": ({ socket }) => socket.send("{}", { fin: false }),
    };
    for (const [what, kill] of Object.entries(killers)) {
      it(`dies of ${what}, as the real one does: its stream ends, and nothing more comes`, async () => {
        await using doubles = await startDoubles({ tls: true });
        const { moonlight } = doubles;
        await using caller = await openWebSocket(kind, doubles.system, PATH);
        await start(caller);
        assert.equal(moonlight.state.streams.size, 1);
        kill(caller);
        await eventually(() => moonlight.state.streams.size === 0, "the end of the stream");
        assert.deepEqual(caller.controlFrames, []);
        assert.equal(moonlight.openWebSockets, 1);
      });
    }
  });
}
