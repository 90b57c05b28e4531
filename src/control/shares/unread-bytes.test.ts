import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Duplex } from "node:stream";
import {
  BULK_EXCHANGES_AT_ONCE,
  BULK_RESPONSE_BYTES,
  FILLING_MS,
  MOVING_CONNECTION_BYTES,
  READ_PROOF_BYTES,
  STALL_TURNS,
  UNREAD_CHECK_STREAMS,
} from "./limits.ts";
import { UnreadBytes } from "./unread-bytes.ts";
import type { UnreadBounds } from "./unread-bytes.ts";

const MIB = 1024 * 1024;

/** The caller's end of an exchange, which takes bytes only when a test says so. */
class CallerStream extends Duplex {
  written = 0;
  held = 0;
  #taken: (() => void) | undefined;
  readonly session: { destroyed: boolean; socket: { bytesWritten: number } } = {
    destroyed: false,
    socket: { bytesWritten: 0 },
  };

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#taken = callback;
  }

  send(bytes: number): this {
    this.written += bytes;
    this.write(Buffer.alloc(bytes));
    return this;
  }

  /** The caller reads what was written first. */
  async readOne(): Promise<void> {
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.();
    await new Promise((resolve) => void setImmediate(resolve));
  }
}

function start(bounds: Partial<UnreadBounds> = {}) {
  const stopped: string[] = [];
  const unread = new UnreadBytes({
    stallMs: 1_000,
    perHolderBytes: MIB,
    perOperatorBytes: 4 * MIB,
    totalBytes: 8 * MIB,
    onStop: (reason) => stopped.push(reason),
    ...bounds,
  });
  const ended: string[] = [];
  const add = (name: string, holder = "user a", held = 0): CallerStream => {
    const end = new CallerStream();
    end.held = held;
    const counts = { writtenBytes: () => end.written, heldBytes: () => end.held };
    unread.add({ holder, end, ...counts, stop: () => ended.push(name) }, 0);
    unread.close(); // a test looks by itself
    return end;
  };
  return { unread, stopped, ended, add, [Symbol.dispose]: () => unread.close() };
}

describe("a caller for whom bytes wait", () => {
  it("is ended when none has moved for the time of a stall, and not before", () => {
    using stand = start();
    stand.add("stalled").send(10);
    stand.unread.check(0);
    stand.unread.check(999);
    assert.deepEqual(stand.ended, []);
    stand.unread.check(1_000);
    stand.unread.check(5_000);
    assert.deepEqual([stand.ended, stand.stopped], [["stalled"], ["not-read"]]);
  });

  it("is not ended while it takes some, however slowly", async () => {
    using stand = start();
    const slow = stand.add("slow").send(100);
    for (let s = 0; s < 20; s += 1) {
      stand.unread.check(s * 900);
      slow.send(100);
      await slow.readOne();
    }
    assert.deepEqual(stand.ended, []);
  });

  it("is not ended though what waits is as much at every look", async () => {
    using stand = start();
    const steady = stand.add("steady").send(100);
    for (let s = 0; s < 10; s += 1) {
      stand.unread.check(s * 1_000);
      await steady.readOne();
      steady.send(100);
    }
    assert.deepEqual(stand.ended, []);
  });

  it("may be idle for any time where nothing waits for it", () => {
    using stand = start();
    stand.add("idle");
    for (let s = 0; s < 100; s += 1) stand.unread.check(s * 10_000);
    assert.deepEqual(stand.ended, []);
  });

  it("has more time while its HTTP/2 connection delivers other streams", () => {
    using stand = start();
    const turn = stand.add("waits its turn").send(10);
    for (let s = 0; s <= STALL_TURNS; s += 1) {
      assert.deepEqual(stand.ended, []);
      turn.session.socket.bytesWritten += MOVING_CONNECTION_BYTES;
      stand.unread.check(s * 1_000);
    }
    assert.deepEqual(stand.ended, ["waits its turn"]);
  });

  it("has no more time where its connection only acknowledges PINGs", () => {
    using stand = start();
    const stream = stand.add("stalled").send(10);
    for (let s = 0; s <= 1; s += 1) {
      stream.session.socket.bytesWritten += 17;
      stand.unread.check(s * 1_000);
    }
    assert.deepEqual(stand.ended, ["stalled"]);
  });

  it("may wait without limit where the time is 0", () => {
    using stand = start({ stallMs: 0 });
    stand.add("stalled").send(10);
    for (let s = 0; s < 100; s += 1) stand.unread.check(s * 10_000);
    assert.deepEqual(stand.ended, []);
  });
});

describe("bytes that wait in memory", () => {
  it("are bounded for each holder: those that have moved least recently are ended", async () => {
    using stand = start();
    stand.add("old", "user a", 0.6 * MIB).send(10);
    const moving = stand.add("moving", "user a", 0.6 * MIB).send(10);
    const other = stand.add("other's", "user b", 0.9 * MIB).send(10);
    stand.unread.check(0);
    assert.equal(stand.ended.length, 1);
    assert.ok(!stand.ended.includes("other's"));
    stand.ended.length = 0;
    stand.add("new", "user a", 0.3 * MIB).send(10);
    stand.unread.check(100);
    moving.send(10);
    await moving.readOne();
    other.send(10);
    stand.unread.check(200);
    assert.deepEqual(stand.ended, []);
    assert.ok(stand.unread.totalBytes > 1.5 * MIB && stand.unread.totalBytes < 2 * MIB);
  });

  it("keep their holder from further streams when it is expected to hold half of the bound, and no other", () => {
    using stand = start({ perHolderBytes: 8 * MIB });
    const ends = ["one", "two", "three"].map((name) => stand.add(name, "user a", 0.1 * MIB).send(10));
    stand.add("large", "user b", 3 * MIB).send(10);
    stand.unread.check(0);
    assert.deepEqual([stand.unread.isFull("user a"), stand.unread.isFull("user b")], [true, false]);
    for (const end of ends) end.held = 0;
    stand.unread.check(1);
    assert.equal(stand.unread.isFull("user a"), false);
    assert.deepEqual(stand.ended, []);
  });

  it("count as they are while the caller reads", async () => {
    using stand = start({ perHolderBytes: 8 * MIB });
    const ends = ["one", "two", "three"].map((name) =>
      stand
        .add(name, "user a", 0.1 * MIB)
        .send(10)
        .send(10),
    );
    stand.unread.check(0);
    assert.equal(stand.unread.isFull("user a"), true);
    for (const end of ends) await end.readOne();
    stand.unread.check(1);
    assert.equal(stand.unread.isFull("user a"), false);
  });

  it("are counted after a number of new streams, before the next look", () => {
    using stand = start({ perHolderBytes: 8 * MIB });
    for (let n = 1; n < UNREAD_CHECK_STREAMS; n += 1) stand.add(`${n}`, "user a", 0.1 * MIB).send(10);
    assert.equal(stand.unread.isFull("user a"), false);
    const last = { holder: "user a", end: new CallerStream(), writtenBytes: () => 0, heldBytes: () => 0 };
    stand.unread.add({ ...last, stop: () => {} });
    assert.equal(stand.unread.isFull("user a"), true);
  });

  it("are expected of new tunnels that move much data, until more has passed than the buffers hold", () => {
    using stand = start({ perHolderBytes: 8 * MIB });
    const tunnels = ["one", "two", "three"].map((name) => stand.add(name));
    const look = (ms: number, bytes: number): boolean => {
      for (const tunnel of tunnels) tunnel.written = bytes;
      stand.unread.check(ms);
      return stand.unread.isFull("user a");
    };
    assert.equal(look(0, BULK_RESPONSE_BYTES - 1), false);
    assert.equal(look(1, BULK_RESPONSE_BYTES), true);
    assert.equal(look(2, READ_PROOF_BYTES), false);
    assert.equal(look(3, BULK_RESPONSE_BYTES), true);
    assert.equal(look(FILLING_MS, BULK_RESPONSE_BYTES), true);
    assert.equal(look(FILLING_MS + 1, BULK_RESPONSE_BYTES), false);
  });

  it("are expected of all new streams of a holder with many such tunnels, and of no others", () => {
    const bound = 8 * BULK_EXCHANGES_AT_ONCE * MIB;
    using stand = start({ perHolderBytes: bound });
    const bulk = (count: number): void => {
      for (let n = 0; n < count; n += 1) stand.add("bulk").written = BULK_RESPONSE_BYTES;
    };
    const undecided = BULK_EXCHANGES_AT_ONCE + 1;
    const growing = Array.from({ length: undecided }, () => stand.add("undecided"));
    for (let n = 0; n < 4 * undecided; n += 1) stand.add("other's", "user b");
    bulk(BULK_EXCHANGES_AT_ONCE - 1);
    stand.unread.check(0);
    assert.equal(stand.unread.isFull("user a"), false);
    bulk(1);
    stand.unread.check(1);
    assert.deepEqual([stand.unread.isFull("user a"), stand.unread.isFull("user b")], [true, false]);
    for (const ms of [2, 3]) {
      bulk(BULK_EXCHANGES_AT_ONCE / 2);
      stand.unread.check(ms);
    }
    for (const end of growing) end.written += 1;
    stand.unread.check(FILLING_MS);
    assert.equal(stand.unread.isFull("user a"), true);
    stand.unread.check(FILLING_MS + 1);
    assert.equal(stand.unread.isFull("user a"), false);
  });

  it("are expected of new responses by what has come, of which little may have been passed on", () => {
    using stand = start({ perHolderBytes: 3 * MIB });
    for (const receivedBytes of [BULK_RESPONSE_BYTES - 1, BULK_RESPONSE_BYTES]) {
      const counts = { writtenBytes: () => 1, receivedBytes: () => receivedBytes, heldBytes: () => 0 };
      stand.unread.add({
        holder: `user ${receivedBytes}`,
        end: new CallerStream(),
        ...counts,
        stop: () => {},
      });
    }
    stand.unread.check(0);
    assert.equal(stand.unread.isFull(`user ${BULK_RESPONSE_BYTES - 1}`), false);
    assert.equal(stand.unread.isFull(`user ${BULK_RESPONSE_BYTES}`), true);
  });

  it("are bounded higher for an admin", () => {
    using stand = start();
    for (let n = 0; n < 3; n += 1) stand.add("admin's", "admin x", MIB).send(10);
    stand.unread.check(0);
    assert.deepEqual(stand.ended, []);
  });

  it("are bounded in all: the holder with the most loses one", () => {
    using stand = start({ totalBytes: 2 * MIB });
    stand.add("small", "user a", 0.5 * MIB).send(10);
    stand.add("large", "user b", 0.9 * MIB).send(10);
    stand.add("middle", "user c", 0.8 * MIB).send(10);
    stand.unread.check(0);
    assert.deepEqual(stand.ended, ["large"]);
  });

  it("are no longer counted when the exchange has ended", () => {
    using stand = start();
    const end = new CallerStream();
    const remove = stand.unread.add({
      holder: "user a",
      end,
      writtenBytes: () => 0,
      heldBytes: () => MIB,
      stop: () => assert.fail("ended"),
    });
    stand.unread.check(0);
    assert.equal(stand.unread.totalBytes, MIB);
    remove();
    assert.equal(stand.unread.totalBytes, 0);
    stand.unread.check(0);
    assert.equal(stand.unread.totalBytes, 0);
  });
});
