import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { handOver } from "./hand-over.ts";
import type { Incumbent, Successor } from "./hand-over.ts";
import { UpgradeError } from "./upgrade-error.ts";

const never = new Promise<void>(() => {});
const done = Promise.resolve();

/** Both sides; what they are told to do is listed in order. */
function sides(given: Partial<Incumbent & Pick<Successor, "prepared" | "listening">> = {}): {
  incumbent: Incumbent;
  successor: Successor;
  steps: string[];
} {
  const steps: string[] = [];
  const step = (name: string, work: () => Promise<void>) => (): Promise<void> => {
    steps.push(name);
    return work();
  };
  return {
    steps,
    incumbent: {
      release: step("release", given.release ?? (() => done)),
      reopen: step("reopen", given.reopen ?? (() => done)),
    },
    successor: {
      prepared: given.prepared ?? done,
      listening: given.listening ?? done,
      takeOver: () => void steps.push("take over"),
      kill: step("kill", () => done),
    },
  };
}

/** Rejected, and handled until someone waits for it. */
function failure(message: string): Promise<void> {
  const promise = Promise.reject(new UpgradeError(message, "hint"));
  promise.catch(() => {});
  return promise;
}

const { signal } = new AbortController();

describe("handOver", () => {
  it("releases the store when the successor is prepared, and before it takes over", async () => {
    const { incumbent, successor, steps } = sides();
    await handOver(incumbent, successor, { signal });
    assert.deepEqual(steps, ["release", "take over"]);
  });

  it("touches nothing if the successor is never prepared", async () => {
    const { incumbent, successor, steps } = sides({ prepared: failure("no such file") });
    await assert.rejects(handOver(incumbent, successor, { signal }), { message: "no such file" });
    assert.deepEqual(steps, ["kill"]);
  });

  it("opens the store again after the successor's end, if it has not come to listen", async () => {
    const { incumbent, successor, steps } = sides({ listening: failure("a newer schema") });
    await assert.rejects(handOver(incumbent, successor, { signal }), { message: "a newer schema" });
    assert.deepEqual(steps, ["release", "take over", "kill", "reopen"]);
  });

  for (const [phase, given, steps] of [
    ["check its options and files", { prepared: never }, ["kill"]],
    ["get the store from the old one", { release: () => never }, ["release", "kill", "reopen"]],
    ["open the store and listen", { listening: never }, ["release", "take over", "kill", "reopen"]],
  ] as const) {
    it(`gives up a successor that takes too long to ${phase}`, async () => {
      const given2 = sides(given);
      await assert.rejects(
        handOver(given2.incumbent, given2.successor, { signal, limitMs: 1 }),
        (error) => error instanceof UpgradeError && error.message.endsWith(`s to ${phase}`),
      );
      assert.deepEqual(given2.steps, steps);
    });

    it(`gives it up while it is to ${phase}, if the process is to end`, async () => {
      const aborting = new AbortController();
      const given2 = sides(given);
      const handedOver = handOver(given2.incumbent, given2.successor, { signal: aborting.signal });
      setImmediate(() => aborting.abort());
      await assert.rejects(handedOver, { message: "the process is to end" });
      assert.deepEqual(given2.steps, steps);
    });
  }

  it("says so if the store cannot be opened again", async () => {
    const { incumbent, successor } = sides({
      listening: failure("the successor has ended"),
      reopen: () => Promise.reject(new Error("disk I/O error")),
    });
    await assert.rejects(handOver(incumbent, successor, { signal }), {
      message: "the successor has ended; then the store could not be opened again: disk I/O error",
    });
  });
});
