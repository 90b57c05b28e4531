import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StallDetector } from "./stall.ts";
import type { Observation, Verdict } from "./stall.ts";

const LIMIT_MS = 30_000;
const LOOK_MS = 500;
const MIB = 1024 * 1024;

/** A process whose main thread has just beaten once, observed look by look. */
class Process {
  readonly detector = new StallDetector(LIMIT_MS);
  seen: Observation = { beats: 1, sinceLastLookMs: LOOK_MS, mainCpuMs: 100, rssBytes: 80 * MIB, state: "S" };

  constructor() {
    this.look({});
  }

  look(changes: Partial<Observation>): Verdict {
    this.seen = { ...this.seen, ...changes };
    return this.detector.look(this.seen);
  }

  /** Looks for so long as the clock of the looks says; each adds to the CPU time and to the memory. */
  silent(
    ms: number,
    perLook: { cpuMs?: number; bytes?: number; state?: string; lookMs?: number } = {},
  ): Verdict[] {
    const { cpuMs = 0, bytes = 0, state = "R", lookMs = LOOK_MS } = perLook;
    return Array.from({ length: ms / lookMs }, () =>
      this.look({
        mainCpuMs: this.seen.mainCpuMs + cpuMs,
        rssBytes: this.seen.rssBytes + bytes,
        sinceLastLookMs: lookMs,
        state,
      }),
    );
  }
}

const stalls = (verdicts: Verdict[]) =>
  verdicts.map(({ stall }) => stall).filter((stall) => stall !== undefined);

describe("a main thread that makes no turn of its event loop", () => {
  it("is spinning when it has used the CPU for the limit, and not before", () => {
    const process = new Process();
    assert.deepEqual(stalls(process.silent(LIMIT_MS - LOOK_MS, { cpuMs: LOOK_MS })), []);
    const { stall, silentMs, cpuMs } = process.look({ mainCpuMs: process.seen.mainCpuMs + LOOK_MS });
    assert.deepEqual({ stall, silentMs, cpuMs }, { stall: "spinning", silentMs: LIMIT_MS, cpuMs: LIMIT_MS });
  });

  it("is not stuck as long as it beats, however busy it is", () => {
    const process = new Process();
    for (let turn = 0; turn < 100; turn += 1) {
      assert.deepEqual(stalls(process.silent(LIMIT_MS / 2, { cpuMs: LOOK_MS, bytes: MIB })), []);
      process.look({ beats: process.seen.beats + 1 });
    }
  });

  it("has run away when memory grows, after a second", () => {
    const process = new Process();
    const [stall] = stalls(process.silent(2_000, { cpuMs: LOOK_MS, bytes: 250 * MIB }));
    assert.equal(stall, "memory");
  });

  it("has not run away for memory that it has allocated within a turn that ended", () => {
    const process = new Process();
    process.look({ beats: 2, rssBytes: 2_000 * MIB });
    assert.deepEqual(stalls(process.silent(10_000, { cpuMs: LOOK_MS, bytes: MIB })), []);
  });

  it("is starved, not stuck, while it gets little of the CPU: a warning, once", () => {
    const process = new Process();
    const verdicts = process.silent(LIMIT_MS * 5, { cpuMs: 25 });
    assert.deepEqual(stalls(verdicts), []);
    assert.equal(verdicts.filter(({ isNewlySilent }) => isNewlySilent).length, 1);
  });

  it("is spinning all the same when a starved one has used the CPU for long enough", () => {
    const process = new Process();
    assert.deepEqual(new Set(stalls(process.silent(LIMIT_MS * 12, { cpuMs: 25 }))), new Set(["spinning"]));
  });

  it("was suspended, with its watchdog, when a look comes late: that counts as one look", () => {
    const process = new Process();
    const { stall, silentMs } = process.look({ sinceLastLookMs: 3_600_000 });
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
