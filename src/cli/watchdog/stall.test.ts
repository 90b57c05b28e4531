import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StallDetector } from "./stall.ts";
import type { Observation, Verdict } from "./stall.ts";

const LIMIT_MS = 30_000;
const CHECK_MS = 500;
const MIB = 1024 * 1024;

/** A process whose main thread has just had a heartbeat, checked step by step. */
class Process {
  readonly detector = new StallDetector(LIMIT_MS);
  seen: Observation = {
    heartbeats: 1,
    sinceLastCheckMs: CHECK_MS,
    mainCpuMs: 100,
    rssBytes: 80 * MIB,
    state: "S",
  };

  constructor() {
    this.check({});
  }

  check(changes: Partial<Observation>): Verdict {
    this.seen = { ...this.seen, ...changes };
    return this.detector.check(this.seen);
  }

  /** Checks without a heartbeat for so long; each adds to the CPU time and to the memory. */
  silent(
    ms: number,
    perCheck: { cpuMs?: number; bytes?: number; state?: string; checkMs?: number } = {},
  ): Verdict[] {
    const { cpuMs = 0, bytes = 0, state = "R", checkMs = CHECK_MS } = perCheck;
    return Array.from({ length: ms / checkMs }, () =>
      this.check({
        mainCpuMs: this.seen.mainCpuMs + cpuMs,
        rssBytes: this.seen.rssBytes + bytes,
        sinceLastCheckMs: checkMs,
        state,
      }),
    );
  }
}

const stalls = (verdicts: Verdict[]) =>
  verdicts.map(({ stall }) => stall).filter((stall) => stall !== undefined);

describe("a main thread whose event loop makes no iteration", () => {
  it("is spinning when it has used the CPU for the limit, and not before", () => {
    const process = new Process();
    assert.deepEqual(stalls(process.silent(LIMIT_MS - CHECK_MS, { cpuMs: CHECK_MS })), []);
    const { stall, silentMs, cpuMs } = process.check({ mainCpuMs: process.seen.mainCpuMs + CHECK_MS });
    assert.deepEqual({ stall, silentMs, cpuMs }, { stall: "spinning", silentMs: LIMIT_MS, cpuMs: LIMIT_MS });
  });

  it("is not stuck while it has heartbeats, however busy it is", () => {
    const process = new Process();
    for (let turn = 0; turn < 100; turn += 1) {
      assert.deepEqual(stalls(process.silent(LIMIT_MS / 2, { cpuMs: CHECK_MS, bytes: MIB })), []);
      process.check({ heartbeats: process.seen.heartbeats + 1 });
    }
  });

  it("is stuck after a second if memory grows", () => {
    const process = new Process();
    const [stall] = stalls(process.silent(2_000, { cpuMs: CHECK_MS, bytes: 250 * MIB }));
    assert.equal(stall, "memory");
  });

  it("is not stuck for memory that it allocated within an iteration that has ended", () => {
    const process = new Process();
    process.check({ heartbeats: 2, rssBytes: 2_000 * MIB });
    assert.deepEqual(stalls(process.silent(10_000, { cpuMs: CHECK_MS, bytes: MIB })), []);
  });

  it("is not stuck while it gets little CPU: it is reported once", () => {
    const process = new Process();
    const verdicts = process.silent(LIMIT_MS * 5, { cpuMs: 25 });
    assert.deepEqual(stalls(verdicts), []);
    assert.equal(verdicts.filter(({ isNewlySilent }) => isNewlySilent).length, 1);
  });

  it("is spinning with little CPU too, once it has used enough of it", () => {
    const process = new Process();
    assert.deepEqual(new Set(stalls(process.silent(LIMIT_MS * 12, { cpuMs: 25 }))), new Set(["spinning"]));
  });

  it("was suspended, with its watchdog, when a check comes late: that counts as one check", () => {
    const process = new Process();
    const { stall, silentMs } = process.check({ sinceLastCheckMs: 3_600_000 });
    assert.equal(stall, undefined);
    assert.ok(silentMs <= 1_000, String(silentMs));
  });

  it("is blocked when it sleeps for ten limits, but never while it waits for a device", () => {
    const sleeping = new Process().silent(LIMIT_MS * 10, { state: "S" });
    assert.deepEqual(stalls(sleeping), ["blocked"]);
    assert.equal(sleeping.filter(({ isNewlySilent }) => isNewlySilent).length, 1);
    assert.deepEqual(stalls(new Process().silent(LIMIT_MS * 20, { state: "D" })), []);
  });
});
