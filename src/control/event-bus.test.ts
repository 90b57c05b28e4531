import assert from "node:assert/strict";
import { it } from "node:test";
import { EventBus } from "./event-bus.ts";

it("a subscriber that throws, or rejects, hides no event from the others and harms no publisher", async () => {
  const failures: string[] = [];
  const bus = new EventBus((error) => failures.push(error.message));
  const seen: string[] = [];
  const broken = (): void => {
    throw new Error("disk full");
  };
  bus.subscribe(broken, broken);
  bus.subscribe(
    (event) => seen.push(event.type),
    () => seen.push("end"),
  );
  bus.publish({ type: "lost", runner: "r" });
  bus.endReaders();
  assert.deepEqual(seen, ["lost", "end"]);
  assert.deepEqual(failures, ["disk full", "disk full"]);
});
