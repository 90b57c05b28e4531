/** More than a relay may pass on, and much through one connection. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import net from "node:net";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { afterEach, describe, it } from "node:test";
import {
  MAX_RELAY_DIALS,
  MAX_RELAY_WAITING_PICKUPS,
  RELAYED_CONNECTIONS_PER_AGENT,
  RELAYED_PICKUPS_PER_CREDENTIAL,
} from "../../../src/agent/limits.ts";
import { TurnaboutError } from "../../../src/wire/errors.ts";
import { followAgent } from "../../support/agents.ts";
import { EventLog } from "../../support/event-log.ts";
import { ending, eventually, next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRelayTo, upgradeRequest } from "../../support/relays.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { startHttpTarget, startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const DIALS = 1_000;
const BYTES: number = 100 * 1024 * 1024;
const TIMEOUT_MS = 60_000;

describe("a relay", () => {
  it(`responds to ${DIALS} dials at once: it forwards up to its limit, and refuses the others with 503 and Retry-After`, async () => {
    const held: Duplex[] = [];
    await using upstream = await startHttpTarget(() => {});
    upstream.http.on("upgrade", (_request, socket) =>
      held.push(socket.resume().on("end", () => socket.end())),
    );
    await using relay = await startRelayTo(`http://${upstream.address}`);
    const sockets: Socket[] = [];
    const responses: string[] = [];
    for (let i = 0; i < DIALS; i += 1) {
      const socket = net.connect({ path: relay.socketPath });
      sockets.push(socket);
      socket.on("error", () => {}); // permanent
      socket.once("data", (chunk) => responses.push(chunk.toString("latin1")));
      socket.write(upgradeRequest({}, `/api/v1/revdial?runnerid=runner-${i}`));
    }
    const isFull = (response: string): boolean => response.startsWith("HTTP/1.1 503 ");
    await eventually(
      () => responses.filter(isFull).length === DIALS - MAX_RELAY_DIALS,
      "the refusals",
      TIMEOUT_MS,
    );
    for (const response of responses) {
      assert.match(response, /^retry-after: 5\r$/m);
      assert.match(response, /"code":"relay_full"/);
    }
    await eventually(() => held.length === MAX_RELAY_DIALS, "the control plane's requests");
    for (const socket of held) socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: ptth\r\n\r\nx");
    await eventually(() => responses.length === DIALS, "the other responses");
    assert.equal(
      responses.filter((response) => /^HTTP\/1\.1 101 [^]*\r\n\r\n/.test(response)).length,
      MAX_RELAY_DIALS,
    );
    for (const socket of sockets) socket.destroy();
    await eventually(() => upstream.sockets.size === 0, "the end of all of them");
  });

  it("lets dials of a RevDial client wait, and forwards as many as one credential may have", async () => {
    const held = new EventLog<Duplex>();
    await using upstream = await startHttpTarget(() => {});
    upstream.http.on("upgrade", (_request, socket) =>
      held.push(socket.resume().on("end", () => socket.end())),
    );
    await using relay = await startRelayTo(`http://${upstream.address}`);
    const sockets: Socket[] = [];
    const statuses: string[] = [];
    const count = (status: string): number => statuses.filter((each) => each === status).length;
    const extra = 10;
    for (let n = 0; n < MAX_RELAY_DIALS + MAX_RELAY_WAITING_PICKUPS + extra; n += 1) {
      const socket = net.connect({ path: relay.socketPath });
      sockets.push(socket);
      socket.on("error", () => {}); // permanent
      socket.once("data", (chunk) => statuses.push(chunk.toString("latin1", 9, 12)));
      socket.write(upgradeRequest({}, `/api/v1/revdial?revdial.dialer=${n}`));
    }
    await eventually(() => statuses.length === extra, "the refusals");
    await eventually(() => held.length === MAX_RELAY_DIALS, "the control plane's requests");
    for (let n = 0; n < RELAYED_PICKUPS_PER_CREDENTIAL; n += 1) {
      const socket = await held.find(() => true, `dial ${n}`, { from: n });
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ptth\r\n\r\nx");
    }
    await eventually(() => statuses.length === sockets.length, "all responses");
    assert.deepEqual(
      [held.length, count("101"), count("503")],
      [RELAYED_PICKUPS_PER_CREDENTIAL, RELAYED_PICKUPS_PER_CREDENTIAL, MAX_RELAY_DIALS + extra],
    );
    for (const socket of sockets) socket.destroy();
    await eventually(() => upstream.sockets.size === 0, "the end of all of them");
  });

  it("has places left for others, however many one agent takes", async () => {
    await using upstream = await startHttpTarget(() => {});
    upstream.http.on("upgrade", (_request, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ptth\r\n\r\n");
      socket.resume().on("end", () => socket.end());
    });
    await using relay = await startRelayTo(`http://${upstream.address}`);
    const sockets: Socket[] = [];
    const dial = async (token: string): Promise<string> => {
      const socket = net.connect({ path: relay.socketPath });
      sockets.push(socket);
      socket.on("error", () => {}); // permanent
      socket.write(upgradeRequest({ Authorization: `Bearer ${token}` }));
      const [chunk] = await next<[Buffer]>(socket, "data");
      return chunk.toString("latin1", 9, 12);
    };
    const statuses: string[] = [];
    for (let n = 0; n < RELAYED_CONNECTIONS_PER_AGENT + 10; n += 1) statuses.push(await dial("greedy"));
    const expected = [
      ...Array<string>(RELAYED_CONNECTIONS_PER_AGENT).fill("101"),
      ...Array<string>(10).fill("503"),
    ];
    assert.deepEqual(statuses, expected);
    assert.equal(await dial("other"), "101");
    for (const socket of sockets) socket.destroy();
    await eventually(() => upstream.sockets.size === 0, "the end of all of them");
  });

  it("is dialled again by the agents that it refused no sooner than Retry-After", async () => {
    const refusal =
      'HTTP/1.1 503 x\r\nturnabout-version: 1\r\nRetry-After: 5\r\n\r\n{"error":{"code":"relay_full"}}';
    await using full = await startTarget((socket) => void socket.once("data", () => socket.end(refusal)));
    await using inner = followAgent({ server: `http://${full.address}` });
    const { error, retryInMs } = await inner.failed();
    assert.equal((error as TurnaboutError).code, "relay_full");
    assert.ok(retryInMs >= 5_000 && retryInMs <= 10_000, String(retryInMs));
  });

  for (const tls of [false, true]) {
    it(`passes 100 MiB both ways at once, unchanged, the control plane on ${tls ? "TLS" : "plaintext"}`, async () => {
      await using target = await startTarget((socket) => void socket.pipe(socket));
      await using system = await startSystem({ tls, agents: 0 });
      await using relay = await startRelayTo(system.url, { caFile: system.caFile });
      await system.addAgent({ [RUNNER]: { [TARGET]: target.address } }, { server: relay.unix });
      const socket = await system.controlPlane.dial(RUNNER, TARGET);
      const [sent, received] = [createHash("sha256"), createHash("sha256")];
      const up = pipeline(Readable.from(blocks(sent)), socket, { end: true });
      for await (const chunk of socket as AsyncIterable<Buffer>) received.update(chunk);
      await within(up, "the way up", TIMEOUT_MS);
      assert.equal(received.digest("hex"), sent.digest("hex"));
    });
  }

  it("does not read faster than the other side takes it", async () => {
    await using system = await startSystem({ agents: 0 });
    await using relay = await startRelayTo(system.url);
    await using flood = await startTarget((socket) => {
      const more = (): void => {
        while (socket.writable && socket.write(Buffer.alloc(65_536)));
      };
      socket.on("drain", more);
      more();
    });
    await system.addAgent({ [RUNNER]: { [TARGET]: flood.address } }, { server: relay.unix });
    const socket = await system.controlPlane.dial(RUNNER, TARGET);
    socket.pause();
    const [source] = flood.sockets;
    let before = -1;
    await eventually(() => {
      const now = source?.bytesWritten ?? 0;
      const hasStopped = now > 0 && now === before && source?.writableNeedDrain === true;
      before = now;
      return hasStopped;
    }, "backpressure");
    assert.ok((source?.bytesWritten ?? 0) < 64 * 1024 * 1024);
    const end = ending(socket);
    socket.destroy();
    await end;
  });
});

function* blocks(hash: ReturnType<typeof createHash>): Generator<Buffer> {
  let block = Buffer.alloc(1024 * 1024);
  for (let sent = 0; sent < BYTES; sent += block.length) {
    block = Buffer.from(block);
    block.writeUInt32LE(sent, 0);
    block.writeUInt32LE(sent ^ 0x5a5a5a5a, 512 * 1024);
    hash.update(block);
    yield block;
  }
}
