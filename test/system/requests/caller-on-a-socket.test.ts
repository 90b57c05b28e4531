/** Callers on a raw socket, by CONNECT or Upgrade: what they send at once, and when they have left. */
import assert from "node:assert/strict";
import net from "node:net";
import type { Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { via } from "../../support/callers.ts";
import { ending, next, within } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

function connectTo({ controlPlane }: System): Socket {
  const socket = net.connect({ port: controlPlane.port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {}); // permanent
  return socket;
}

function connectRequest(runner: string, ...fields: string[]): string {
  const lines = [`CONNECT ${TARGET}.${runner} HTTP/1.1`, `Proxy-Authorization: Bearer ${ADMIN_TOKEN}`];
  return [...lines, ...fields, "", ""].join("\r\n");
}

const UPGRADE = [
  `GET ${via("/")} HTTP/1.1`,
  "Host: x",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
  `Authorization: Bearer ${ADMIN_TOKEN}`,
  "",
  "",
].join("\r\n");

async function waitingDials(system: System, count: number): Promise<void> {
  for (;;) {
    const { body } = await call(`${system.url}/metrics`);
    if (Number(/^turnabout_waiting_dials (\d+)$/m.exec(body)?.[1]) === count) return;
  }
}

describe("a caller by CONNECT", () => {
  it("may send its request, its bytes and its end at once", async () => {
    await using system = await startSystem(); // an echo
    const socket = connectTo(system);
    const end = ending(socket);
    socket.end(`${connectRequest(RUNNER)}question`);
    const { kind, data } = await end;
    assert.equal(kind, "end");
    assert.match(data.toString(), /^HTTP\/1\.1 200 [^]*\r\n\r\nquestion$/);
  });

  for (const how of ["closes", "resets"] as const) {
    it(`that ${how} while it waits for its runner waits no longer`, async () => {
      await using system = await startSystem();
      const socket = connectTo(system);
      socket.write(connectRequest("runner-2", "Prefer: wait=60"));
      await within(waitingDials(system, 1), "a dial that waits");
      if (how === "resets") socket.resetAndDestroy();
      else socket.destroy();
      await within(waitingDials(system, 0), "no waiting dial left");
    });
  }
});

it("a caller by Upgrade that disconnects before the target has responded is disconnected from the target too", async () => {
  const target = await startTarget();
  await using system = await startSystem({ target });
  const socket = connectTo(system);
  socket.write(UPGRADE);
  const theirs = await within(target.accepted(), "the target's connection");
  const end = ending(theirs);
  await next(theirs, "data");
  socket.destroy();
  await end;
});
