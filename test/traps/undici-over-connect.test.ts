/**
 * Traps: a cut body must not look complete to undici: a truncated chunked body, a short one, and above all a
 * close-delimited one, whose only sign of completeness is a clean end of the stream.
 * Guards: src/wire/streams/splice.ts and src/wire/streams/tunnel-socket.ts keep FIN and reset apart; src/clients/dial/dispatcher.ts hands
 * undici a TunnelSocket and refuses `https:`, which would travel in plaintext.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, describe, it } from "node:test";
import { request } from "undici";
import { createDispatcher } from "../../src/clients/dial/dispatcher.ts";
import { within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { startRawTarget } from "../support/raw-target.ts";
import { RUNNER, startSystem, TARGET } from "../support/system.ts";
import type { System } from "../support/system.ts";

after(() => assertNothingOpen());

const URL_OF_TARGET = `http://${TARGET}.${RUNNER}/x`;
const HEADS = {
  chunked: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
  short: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
  closeDelimited: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
};

/** Asks a target that sends `head` and then whatever `then` does; resolves to the body. */
async function ask(head: string, then: (socket: Socket, system: System) => void): Promise<string> {
  const target = await startRawTarget(({ socket }) => {
    socket.write(head, () => sent.resolve(socket));
  });
  const sent = Promise.withResolvers<Socket>();
  await using system = await startSystem({ target, faulty: true });
  const dispatcher = createDispatcher(system.controlPlane.dial);
  try {
    const { body } = await request(URL_OF_TARGET, { dispatcher });
    const text = body.text();
    text.catch(() => {});
    then(await sent.promise, system);
    return await within(text, "the end of the body");
  } finally {
    await dispatcher.destroy();
  }
}

describe("a response body over a tunnel", () => {
  it("is complete when a close-delimited body ends with FIN", async () => {
    assert.equal(await ask(HEADS.closeDelimited, (socket) => socket.end(" world")), "hello world");
  });

  for (const kind of ["chunked", "short"] as const) {
    it(`is an error when a ${kind} body ends too early with FIN`, async () => {
      await assert.rejects(ask(HEADS[kind], (socket) => socket.end()));
    });
  }

  for (const kind of ["chunked", "short", "closeDelimited"] as const) {
    it(`is an error when the target resets a ${kind} body`, async () => {
      await assert.rejects(ask(HEADS[kind], (socket) => socket.resetAndDestroy()));
    });

    it(`is an error when the tunnel is lost in a ${kind} body`, async () => {
      await assert.rejects(ask(HEADS[kind], (_socket, system) => system.path?.cut()));
    });
  }

  it("is refused for https:, which undici would send in plaintext", async () => {
    await using system = await startSystem();
    const dispatcher = createDispatcher(system.controlPlane.dial);
    await assert.rejects(request(`https://${TARGET}.${RUNNER}/`, { dispatcher }), { code: "bad_request" });
    await dispatcher.destroy();
  });
});
