/** So many at once, so many in the queue. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Semaphore } from "./semaphore.ts";

const never = new AbortController().signal;

test("hands a slot on, first come first served, once each", async () => {
  const slots = new Semaphore({ open: 1, waiting: 2 });
  const order: string[] = [];
  const releaseFirst = await slots.acquire("first", never);
  const second = slots.acquire("second", never).then((release) => (order.push("second"), release));
  const third = slots.acquire("third", never).then((release) => (order.push("third"), release));
  await assert.rejects(slots.acquire("fourth", never), { code: "overloaded" });
  releaseFirst();
  releaseFirst(); // counts once
  const releaseSecond = await second;
  assert.deepEqual(order, ["second"]);
  releaseSecond();
  (await third)();
  assert.deepEqual(order, ["second", "third"]);
  (await slots.acquire("again", never))();
});

test("frees the place of a waiter that aborts, and only that", async () => {
  const slots = new Semaphore({ open: 1, waiting: 2 });
  const release = await slots.acquire("first", never);
  const giveUp = new AbortController();
  const given = slots.acquire("second", giveUp.signal);
  const patient = slots.acquire("third", never);
  giveUp.abort(new Error("given up"));
  await assert.rejects(given, /given up/);
  release();
  (await patient)();
  await assert.rejects(slots.acquire("fourth", giveUp.signal), /given up/);
});

test("keeps a slot that comes in the moment of giving up", async () => {
  const slots = new Semaphore({ open: 1, waiting: 2 });
  const release = await slots.acquire("first", never);
  const giveUp = new AbortController();
  const second = slots.acquire("second", giveUp.signal);
  const third = slots.acquire("third", never);
  release();
  giveUp.abort(new Error("too late"));
  (await second)();
  (await third)();
});
