import assert from "node:assert/strict";
import net from "node:net";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import type { Duplex } from "node:stream";
import type { Http2Stream } from "node:http2";
import { TLSSocket } from "node:tls";
import { freeOf, isWorthFreeing, ReadMemory } from "./read-memory.ts";

const READ_BYTES = 64 * 1024;
const to = new net.Socket();

describe("the memory of a socket's chunk", () => {
  const free = freeOf(new net.Socket(), to);

  it("is freed", () => {
    const chunk = Buffer.from(new ArrayBuffer(READ_BYTES));
    free?.(chunk);
    assert.equal(chunk.length, 0);
  });

  it("is not freed where the chunk is a part of it", () => {
    const whole = Buffer.from(new ArrayBuffer(READ_BYTES));
    free?.(whole.subarray(0, READ_BYTES - 1));
    assert.equal(whole.length, READ_BYTES);
  });

  it("is not worth it below some KiB, and unknown for other streams", () => {
    assert.equal(isWorthFreeing(Buffer.from(new ArrayBuffer(1024))), false);
    assert.equal(freeOf(new PassThrough(), to), undefined);
  });

  it("is left to the garbage collector where node may call back before it is sent", () => {
    class JavaScriptSocket extends net.Socket {}
    assert.ok(freeOf(new net.Socket(), new TLSSocket(new net.Socket())));
    assert.equal(freeOf(new net.Socket(), new JavaScriptSocket()), undefined);
    assert.equal(freeOf(new net.Socket(), new PassThrough()), undefined);
  });
});

describe("the memory of a read of an HTTP/2 connection", () => {
  const memory = new ReadMemory();
  const stream = new PassThrough() as Duplex as Http2Stream;
  memory.watch(stream);
  const free = freeOf(stream, to);
  const read = (): [Buffer, Buffer] => {
    const buffer = new ArrayBuffer(READ_BYTES);
    const chunks: [Buffer, Buffer] = [Buffer.from(buffer, 9, 16_384), Buffer.from(buffer, 16_402, 16_384)];
    for (const chunk of chunks) memory.count(chunk);
    return chunks;
  };

  it("is freed when all its chunks have been passed on and a later read has come", () => {
    const [first, second] = read();
    free?.(first);
    free?.(second);
    assert.equal(first.length, 16_384, "node may still find chunks in the last read");
    read();
    assert.equal(first.length, 0);
  });

  it("is freed with the last of its chunks", () => {
    const [first, second] = read();
    read();
    free?.(second);
    assert.equal(first.length, 16_384);
    free?.(first);
    assert.equal(second.length, 0);
  });

  it("is left to the garbage collector when a consumer keeps a chunk, or the connection was idle", () => {
    const [first, second] = read();
    memory.forget();
    free?.(first);
    free?.(second);
    read();
    assert.equal(second.length, 16_384);
  });

  it("is left to the garbage collector where chunks came with a stream's header", () => {
    const late = new PassThrough();
    late.write("counted by no one");
    memory.watch(late as Duplex as Http2Stream);
    assert.equal(freeOf(late, to), undefined);
  });
});
