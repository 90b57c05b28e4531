import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import {
  BURST_BYTES,
  memoryParts,
  MemoryReturn,
  MIN_GROWTH_BYTES,
  returnStartMemory,
  START_CHECK_MS,
  trimmer,
} from "./memory-return.ts";

const MIB = 1024 * 1024;
const warnings: string[] = [];
process.on("warning", ({ message }) => warnings.push(message));

const START_BYTES = 100 * MIB;

/** A process whose memory is given back down to `usedBytes`. */
function processWith(start: { rssBytes: number; usedBytes: number }) {
  const state = { ...start, utilization: 0, returns: 0 };
  const memory = new MemoryReturn({
    rssBytes: () => state.rssBytes,
    utilization: () => state.utilization,
    collect: async () => {},
    trim: () => {
      state.returns += 1;
      state.rssBytes = state.usedBytes;
    },
  });
  return { state, memory };
}

describe("memory that a burst has left behind", () => {
  it("is given back when it has grown, and the process is calm", async () => {
    const { state, memory } = processWith({ rssBytes: START_BYTES, usedBytes: START_BYTES });
    state.rssBytes += MIN_GROWTH_BYTES;
    assert.equal(await memory.check(), MIN_GROWTH_BYTES);
    assert.equal(state.returns, 1);
  });

  it("is kept while the process is busy, and where it has grown by little", async () => {
    const { state, memory } = processWith({ rssBytes: START_BYTES, usedBytes: START_BYTES });
    state.rssBytes += MIN_GROWTH_BYTES - 1;
    assert.equal(await memory.check(), 0);
    state.rssBytes += 1;
    state.utilization = 1;
    assert.equal(await memory.check(), 0);
    assert.equal(state.returns, 0);
    state.utilization = 0;
    assert.equal(await memory.check(), MIN_GROWTH_BYTES);
  });

  it("is looked for less and less often in memory that is in use", async () => {
    const { state, memory } = processWith({ rssBytes: START_BYTES, usedBytes: START_BYTES });
    state.rssBytes += 2 * MIN_GROWTH_BYTES;
    state.usedBytes = state.rssBytes;
    for (let check = 0; check < 100; check += 1) assert.equal(await memory.check(), 0);
    assert.ok(state.returns <= 7, `${state.returns} times`);
    state.usedBytes = START_BYTES;
    for (let check = 0; check < 100 && state.rssBytes > START_BYTES; check += 1) await memory.check();
    assert.equal(state.rssBytes, START_BYTES);
  });

  it("is given back at once behind a burst, though a former attempt found it in use", async () => {
    const { state, memory } = processWith({ rssBytes: START_BYTES, usedBytes: START_BYTES });
    state.rssBytes += MIN_GROWTH_BYTES;
    state.usedBytes = state.rssBytes;
    for (let check = 0; check < 20; check += 1) await memory.check();
    state.rssBytes += BURST_BYTES;
    assert.equal(await memory.check(), BURST_BYTES);
  });

  it("is given back less and less often where everyday load needs it again", async () => {
    const { state, memory } = processWith({ rssBytes: START_BYTES, usedBytes: START_BYTES });
    const checksOfAnHour = 720;
    for (let check = 0; check < checksOfAnHour; check += 1) {
      state.rssBytes = START_BYTES + MIN_GROWTH_BYTES;
      await memory.check();
    }
    assert.ok(state.returns >= 3 && state.returns <= 7, `${state.returns} times`);
    state.rssBytes = START_BYTES + BURST_BYTES;
    assert.equal(await memory.check(), BURST_BYTES);
  });

  it("is given back in steps", async () => {
    const { state, memory } = processWith({ rssBytes: START_BYTES, usedBytes: START_BYTES });
    state.rssBytes += 3 * MIN_GROWTH_BYTES;
    for (const left of [2, 1, 0]) {
      state.usedBytes = START_BYTES + left * MIN_GROWTH_BYTES;
      assert.equal(await memory.check(), MIN_GROWTH_BYTES);
    }
    assert.equal(await memory.check(), 0);
  });

  it("goes back to the system", { skip: trimmer() === undefined && "no malloc_trim" }, async () => {
    const memory = new MemoryReturn({ ...memoryParts(), utilization: () => 0 });
    // As buffers of sockets: each smaller than what malloc would get from the system by itself.
    let buffers = Array.from({ length: 3_000 }, () => Buffer.alloc(64 * 1024, 1));
    const kept = buffers.splice(-1);
    buffers = [];
    const returned = await memory.check();
    assert.ok(returned > 100 * MIB, `${Math.round(returned / MIB)} MiB`);
    assert.equal(kept.length, 1);
  });

  it("is given back without a warning", async () => {
    trimmer()?.();
    process.emitWarning("another");
    await new Promise((resolve) => void setImmediate(resolve));
    assert.deepEqual(warnings, ["another"]);
  });
});

describe("what a start has left behind", () => {
  it("is given back once, as soon as the process is calm", async () => {
    mock.timers.enable({ apis: ["setInterval"] });
    try {
      const { promise, resolve } = Promise.withResolvers<void>();
      const calls: string[] = [];
      let utilization = 1;
      returnStartMemory({
        rssBytes: () => START_BYTES,
        utilization: () => utilization,
        collect: () => void calls.push("collect"),
        trim: () => {
          calls.push("trim");
          resolve();
        },
      });
      mock.timers.tick(START_CHECK_MS);
      assert.deepEqual(calls, []);
      utilization = 0;
      mock.timers.tick(START_CHECK_MS);
      await promise;
      mock.timers.tick(10 * START_CHECK_MS);
      assert.deepEqual(calls, ["collect", "trim"]);
    } finally {
      mock.timers.reset();
    }
  });
});
