import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Http2Session } from "node:http2";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { keepAlive } from "./keepalive.ts";
import type { Death } from "./keepalive.ts";

type PingCallback = (error: Error | null, durationMs: number) => void;

/** A session whose PINGs the test acknowledges. */
class FakeSession extends EventEmitter {
  destroyed = false;
  receivedBytes = 0;
  closed = false;
  readonly pings: PingCallback[] = [];
  ping(callback: PingCallback): boolean {
    this.pings.push(callback);
    return true;
  }
}

function watch(session: FakeSession, onDead: (death: Death) => void) {
  const received = () => session.receivedBytes;
  const options = { pingIntervalMs: 100, pingDeadlineMs: 50, pingAckLimitMs: 1_000 };
  return keepAlive(session as unknown as Http2Session, received, onDead, options);
}

function unexpected(): void {
  assert.fail("declared dead");
}

describe("keepalive", () => {
  let now = 0;
  beforeEach(() => {
    now = 0;
    mock.timers.enable({ apis: ["setInterval"] });
    mock.method(performance, "now", () => now);
  });
  afterEach(() => {
    mock.timers.reset();
    mock.restoreAll();
  });
  const pass = (ms: number) => {
    for (let step = 0; step < ms; step += 1) {
      now += 1;
      mock.timers.tick(1);
    }
  };

  it("knows the round trip after the first acknowledgement, and pings again an interval later", () => {
    const session = new FakeSession();
    const liveness = watch(session, unexpected);
    assert.equal(liveness.rttMs, undefined);
    pass(20);
    session.pings[0]?.(null, 7);
    assert.equal(liveness.rttMs, 7);
    pass(90);
    assert.equal(session.pings.length, 1);
    pass(30);
    assert.equal(session.pings.length, 2);
    liveness.stop();
  });

  it("does not declare a draining connection dead whose PING is never acknowledged", () => {
    const session = new FakeSession();
    watch(session, unexpected);
    pass(20);
    assert.equal(session.pings.length, 1);
    session.closed = true; // GOAWAY
    pass(500);
    assert.equal(session.pings.length, 1);
  });

  it("reports once that the peer is dead when a PING is out and nothing has been received within the deadline", () => {
    const dead = mock.fn<(death: Death) => void>();
    watch(new FakeSession(), dead);
    pass(45);
    assert.equal(dead.mock.callCount(), 0);
    pass(500);
    assert.equal(dead.mock.callCount(), 1);
    assert.ok(Number(dead.mock.calls[0]?.arguments[0].silentMs) < 80);
  });

  it("treats received bytes as life while a PING is unacknowledged, and later silence as death", () => {
    const session = new FakeSession();
    const dead = mock.fn();
    watch(session, dead);
    for (let step = 0; step < 20; step += 1) {
      session.receivedBytes += 1; // less than any PING
      pass(40);
    }
    assert.equal(dead.mock.callCount(), 0);
    assert.equal(session.pings.length, 1);
    pass(100);
    assert.equal(dead.mock.callCount(), 1);
  });

  it("keeps sending PINGs while bulk arrives, despite unacknowledged ones: its sender receives nothing else", () => {
    const session = new FakeSession();
    const liveness = watch(session, unexpected);
    for (let step = 0; step < 20; step += 1) {
      session.receivedBytes += 10_000;
      pass(20);
    }
    assert.ok(session.pings.length >= 8, `${session.pings.length} PINGs in 400 ms, with a deadline of 50`);
    session.pings[3]?.(null, 5); // those before it are acknowledged with it
    pass(20);
    assert.equal(liveness.rttMs, 5);
    liveness.stop();
  });

  it("does not wait endlessly for an acknowledgement from a peer that sends other bytes", () => {
    const session = new FakeSession();
    const dead = mock.fn<(death: Death) => void>();
    watch(session, dead);
    for (let step = 0; step < 60; step += 1) {
      session.receivedBytes += 10_000;
      pass(20);
    }
    assert.equal(dead.mock.callCount(), 1);
    assert.ok(Number(dead.mock.calls[0]?.arguments[0].unansweredMs) >= 1_000);
  });

  it("does not blame the peer for the time in which this process stood still", () => {
    const session = new FakeSession();
    const dead = mock.fn();
    const liveness = watch(session, dead);
    pass(20);
    now += 60_000; // suspended; the acknowledgement waits in the socket
    pass(15);
    assert.equal(dead.mock.callCount(), 0);
    session.pings[0]?.(null, 1);
    pass(60);
    assert.equal(dead.mock.callCount(), 0);
    liveness.stop();
  });

  it("ends with the session, and with a PING that GOAWAY cancels", () => {
    const closed = new FakeSession();
    const draining = new FakeSession();
    watch(closed, unexpected);
    watch(draining, unexpected);
    pass(20);
    closed.emit("close");
    draining.closed = true;
    draining.pings[0]?.(new Error("ERR_HTTP2_PING_CANCEL"), 0);
    pass(1_000);
    assert.deepEqual([closed.pings.length, draining.pings.length], [1, 1]);
  });
});
