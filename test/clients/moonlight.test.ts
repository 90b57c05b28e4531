/** The Moonlight Web client against the double, which dies of every frame that a browser would not send. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, describe, test } from "node:test";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { createMoonlightClient, moonlightOverTunnel } from "../../src/clients/moonlight/client.ts";
import type { MoonlightClient } from "../../src/clients/moonlight/client.ts";
import type {
  HostStream,
  HostStreamInit,
  HostStreamMessage,
} from "../../src/clients/moonlight/host-stream.ts";
import { MAX_PAIRINGS } from "../../src/clients/moonlight/limits.ts";
import { createMoonlightDouble } from "../../src/demo/moonlight/double.ts";
import type { MoonlightDouble } from "../../src/demo/moonlight/double.ts";
import { within } from "../support/events.ts";
import { moonlightInit } from "../support/moonlight-init.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { startHttpTarget } from "../support/target.ts";
import { code, reach } from "./reach.ts";
import type { Reached, ConnectionKind } from "./reach.ts";

const KINDS: readonly ConnectionKind[] = ["tunnel", "remote"];
const CREDENTIALS = "s3cret";

const { credentials: _credentials, ...fields } = moonlightInit(CREDENTIALS); // the client adds them
const init: HostStreamInit = fields;

for (const kind of KINDS) {
  describe(`Moonlight Web's client, ${kind}`, () => {
    let double: MoonlightDouble;
    let reached: Reached;
    let moonlight: MoonlightClient;

    beforeEach(async () => {
      double = await createMoonlightDouble({ credentials: CREDENTIALS, pairDelayMs: 60_000 });
      reached = await reach(kind, "moonlight", `127.0.0.1:${double.port}`, moonlightOverTunnel);
      moonlight = createMoonlightClient(reached.open, { credentials: CREDENTIALS });
    });

    afterEach(async () => {
      try {
        await within(double.whenIdle(), "the end of all connections");
      } finally {
        await reached[Symbol.asyncDispose]();
        await double.close();
      }
      await assertNothingOpen();
    });

    test("authenticates, or reports that it cannot", async () => {
      assert.equal(await moonlight.authenticate(), true);
      const stranger = createMoonlightClient(reached.open, { credentials: "helix" });
      assert.equal(await stranger.authenticate(), false);
      await assert.rejects(stranger.hosts(), { name: "MoonlightError", status: 401 });
      await assert.rejects(stranger.pair(1).next(), { name: "MoonlightError", status: 401 });
    });

    test("lists hosts and apps", async () => {
      const [first] = await moonlight.hosts();
      assert.deepEqual(first, { host_id: 0, name: "wolf", paired: "Paired", server_state: "Free" });
      const apps = await moonlight.apps(0, { forceRefresh: true });
      assert.equal(apps[0]?.title, "Wolf UI");
      assert.equal(double.requests.at(-1)?.url, "/api/apps?host_id=0&force_refresh=true");
      await assert.rejects(moonlight.apps(99), { name: "MoonlightError", status: 404 });
    });

    test("shows the PIN before anybody can have typed it", async () => {
      const pairing = moonlight.pair(1);
      assert.deepEqual((await pairing.next()).value, { kind: "pin", pin: "1234" });
      assert.equal(double.finishPairings("paired"), 1);
      const { value } = await pairing.next();
      assert.ok(value?.kind === "paired");
      assert.equal(value.host.name, "new-host");
      assert.equal((await pairing.next()).done, true);
      // Often enough to see that each gives back what it took.
      for (let n = 0; n <= MAX_PAIRINGS; n += 1) {
        const again = moonlight.pair(1);
        assert.deepEqual((await again.next()).value, { kind: "already-paired" });
        assert.equal((await again.next()).done, true);
      }
    });

    test("hears that a pairing failed", async () => {
      const pairing = moonlight.pair(1);
      await pairing.next();
      double.finishPairings("failed");
      assert.deepEqual((await pairing.next()).value, { kind: "failed" });
      await assert.rejects(moonlight.pair(99).next(), { name: "MoonlightError", status: 404 });
      await pairing.return();
    });

    test("gives a pairing up, by leaving it or by a signal", async () => {
      for await (const step of moonlight.pair(1)) {
        assert.equal(step.kind, "pin");
        break;
      }
      await within(double.whenIdle(), "the end of the pairing");
      const giveUp = new AbortController();
      const pairing = moonlight.pair(1, { signal: giveUp.signal });
      await pairing.next();
      const next = assert.rejects(pairing.next(), code("aborted"));
      giveUp.abort();
      await next;
      await within(double.whenIdle(), "the end of the pairing");
      assert.equal(double.finishPairings("paired"), 0);
    });

    test("signals a stream, and nothing but whole texts go out", async () => {
      await using stream = await moonlight.openStream(init);
      const seen = await until(stream, "WebRtcConfig");
      assert.deepEqual(
        seen.map(({ tag }) => tag),
        ["UpdateApp", "StageStarting", "StageComplete", "StageStarting", "WebRtcConfig"],
      );
      const sdp = "v=0\r\na=setup:actpass\r\na=sendrecv\r\n";
      await stream.signal({ Description: { ty: "offer", sdp } });
      const connecting = await until(stream, "ConnectionComplete");
      const [answer, candidate] = connecting.filter(({ tag }) => tag === "Signaling");
      assert.ok(answer?.tag === "Signaling" && "Description" in answer.value);
      assert.equal(answer.value.Description.sdp, "v=0\r\na=setup:active\r\na=sendonly\r\n");
      assert.ok(candidate?.tag === "Signaling" && "AddIceCandidate" in candidate.value);
      const [offer] = await until(stream, "Signaling");
      assert.ok(offer?.tag === "Signaling" && "Description" in offer.value);
      assert.equal(offer.value.Description.ty, "offer", "the media");
      await stream.signal(candidate.value);
      const [echoed] = await until(stream, "Signaling");
      assert.deepEqual(echoed, candidate);
      assert.equal((await moonlight.status()).total_sessions, 1);
      const [session] = await moonlight.sessions();
      assert.equal(session?.session_id, "agent-ses_01");
      assert.equal((await moonlight.hosts())[0]?.server_state, "Busy");
      assert.deepEqual(double.controlFrames, []);
    });

    test("hears that a stream was cancelled", async () => {
      const stream = await moonlight.openStream(init);
      await until(stream, "WebRtcConfig");
      await moonlight.cancel(0);
      const rest: HostStreamMessage[] = [];
      for await (const message of stream) rest.push(message);
      assert.deepEqual(rest.at(-1), { tag: "ConnectionTerminated", value: { error_code: 0 } });
      assert.deepEqual(await stream.closed, { code: 1005, reason: "" });
      await assert.rejects(moonlight.cancel(99), { name: "MoonlightError", status: 404 });
    });

    test("gets the reason why there is no stream", async () => {
      for (const [change, word] of [
        [{ app_id: 1 }, "AppNotFound"],
        [{ host_id: 99 }, "HostNotFound"],
        [{ host_id: 1 }, "HostNotPaired"],
        [{ mode: "join" as const }, "SessionNotFound"],
      ] as const) {
        const stream = await moonlight.openStream({ ...init, ...change });
        const seen: HostStreamMessage[] = [];
        for await (const message of stream) seen.push(message);
        assert.deepEqual(seen, [{ tag: word, value: undefined }]);
      }
    });

    test("keeps a session alive without a viewer, and joins it", async () => {
      await using keeper = await moonlight.openStream({ ...init, mode: "keepalive" });
      await until(keeper, "StageStarting");
      assert.equal((await moonlight.sessions())[0]?.["has_websocket"], false);
      await using viewer = await moonlight.openStream({ ...init, mode: "join" });
      await until(viewer, "WebRtcConfig");
      assert.equal((await moonlight.sessions())[0]?.["has_websocket"], true);
      await viewer.signal({ Description: { ty: "offer", sdp: "v=0" } });
      await until(viewer, "ConnectionComplete");
    });

    test("reports wrong credentials of a stream, as Moonlight Web does", async () => {
      const stranger = createMoonlightClient(reached.open, { credentials: "helix" });
      const stream = await stranger.openStream(init);
      const seen: HostStreamMessage[] = [];
      for await (const message of stream) seen.push(message);
      assert.deepEqual(seen, [{ tag: "StageFailed", value: { stage: "Authentication", error_code: -1 } }]);
      assert.deepEqual(await stream.closed, { code: 1005, reason: "" });
    });
  });
}

test("sends no pong: it would end the stream", async () => {
  const target = await startHttpTarget(() => {});
  const server = new WebSocketServer({ server: target.http });
  const accepted = once(server, "connection") as Promise<[WebSocket]>;
  const pongs: Buffer[] = [];
  const reached = await reach("tunnel", "moonlight", target.address);
  const stream = await createMoonlightClient(reached.open, { credentials: "x" }).openStream(init);
  const [theirs] = await accepted;
  theirs.on("pong", (payload: Buffer) => pongs.push(payload));
  theirs.ping("alive?");
  theirs.send('{"StageStarting":{"stage":"after the ping"}}');
  await until(stream, "StageStarting");
  const received = once(theirs, "message");
  await stream.signal({ Description: { ty: "offer", sdp: "v=0" } });
  await received;
  assert.deepEqual(pongs, []);
  theirs.send('{"FutureThing":{"x":1}}');
  theirs.send('"FutureWord"');
  theirs.send("[]");
  assert.deepEqual(await until(stream, "unknown", 2), [
    { tag: "unknown", value: { name: "FutureThing", value: { x: 1 } } },
    { tag: "unknown", value: { name: "FutureWord", value: undefined } },
  ]);
  await assert.rejects(until(stream, "StageFailed"), code("target_protocol"));
  await stream.close();
  await reached[Symbol.asyncDispose]();
  server.close();
  await target.close();
  await assertNothingOpen();
});

/** Messages up to the `count`th of this kind. Does not end the stream. */
async function until(
  stream: HostStream,
  tag: HostStreamMessage["tag"],
  count = 1,
): Promise<HostStreamMessage[]> {
  const seen: HostStreamMessage[] = [];
  for await (const message of stream) {
    seen.push(message);
    if (seen.filter((one) => one.tag === tag).length === count) break;
  }
  return seen;
}
