import assert from "node:assert/strict";
import { Duplex, PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { transfer } from "./transfer.ts";

/** Its writes end when `finish` is called. */
class Slow extends Duplex {
  readonly writes: number[] = [];
  finish: () => void = () => {};
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#take([{ chunk }], done);
  }
  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#take(chunks, done);
  }
  #take(chunks: { chunk: Buffer }[], done: () => void): void {
    this.writes.push(chunks.reduce((sum, { chunk }) => sum + chunk.length, 0));
    this.finish = done;
  }
}

const FRAME = Buffer.alloc(16_384);

describe("transfer", () => {
  it("writes the large chunks of a turn at once, and small ones as they come", async () => {
    const from = new PassThrough({ highWaterMark: 1_000_000 });
    const to = new Slow();
    transfer(from, to);
    await turn();
    from.write("a request");
    assert.deepEqual(to.writes, [9]);
    to.finish();
    for (let i = 0; i < 3; i += 1) from.write(FRAME);
    assert.deepEqual(to.writes, [9]);
    await turn();
    await turn();
    assert.deepEqual(to.writes, [9, 3 * 16_384]);
  });

  it("pauses while the other end has too much to write", async () => {
    const from = new PassThrough({ highWaterMark: 1_000 });
    const to = new Slow();
    transfer(from, to);
    let written = 0;
    for (let i = 0; i < 1_000; i += 1) {
      if (!from.writableNeedDrain) {
        from.write(FRAME);
        written += FRAME.length;
      }
      await turn();
    }
    assert.ok(written < 400_000, `${written} bytes were taken`);
    for (let i = 0; i < 20; i += 1) {
      to.finish();
      await turn();
    }
    assert.equal(from.writableNeedDrain, false, "it has gone on");
  });

  for (const event of ["aborted", "error", "finish", "close"]) {
    it(`ends at '${event}' of the other end`, async () => {
      const from = new PassThrough();
      const to = new Slow();
      to.on("error", () => {});
      transfer(from, to);
      await turn();
      to.emit(event, new Error("lost"));
      from.write(FRAME);
      await turn();
      assert.deepEqual(to.writes, []);
      assert.equal(from.readableFlowing, false);
    });
  }
});
