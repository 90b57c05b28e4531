import assert from "node:assert/strict";
import { test } from "node:test";
import { IoThread } from "./io-thread.ts";

test("runs one piece of work after another, also after one that failed", async () => {
  const thread = new IoThread();
  const order: number[] = [];
  const failed = thread.run(async () => {
    await thread.stall(5);
    order.push(1);
    throw new Error("handler");
  });
  const next = thread.run(() => order.push(2));
  await assert.rejects(failed, /handler/);
  await next;
  assert.deepEqual(order, [1, 2]);
});

test("close ends what is held and what stalls, and leaves no timer", async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const thread = new IoThread();
  const timersBefore = timers();
  const stalled = thread.run(() => thread.stall(3_600_000));
  thread.hold();
  const last = thread.run(() => "free");
  // The stall begins a turn of the event loop after its request.
  await new Promise(setImmediate);
  assert.equal(timers(), timersBefore + 1);
  thread.close();
  await assert.rejects(stalled, { name: "AbortError" });
  assert.equal(await last, "free");
  assert.equal(timers(), timersBefore);
});
