/** What the directory does in one situation each, on simulated clocks and links. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LocalRunner } from "../../../src/cluster/directory/views.ts";
import {
  FENCE_MS,
  MAX_PLACES_PER_RUNNER,
  REGISTER_WAIT_MS,
  RESERVATION_MS,
  SUSPECT_MS,
  SWEEP_AFTER_MS,
  SWEEP_INTERVAL_MS,
  TOMBSTONE_MS,
} from "../../../src/cluster/limits.ts";
import { agent, World } from "../../simulation/world.ts";

async function startWorld(...ids: string[]): Promise<World> {
  const world = new World(7);
  world.engine.isReliable = true;
  for (const id of ids) world.start(id);
  await world.pass(3_000);
  return world;
}

/** How a registration ends, when that takes no longer than this. */
async function outcome(world: World, id: string, local: LocalRunner, withinMs = 1_000): Promise<string> {
  let kind = "none";
  void world
    .node(id)
    .connect(local)
    .then((result) => {
      kind = result === "registered" ? result : `${result.kind}${result.isKnown ? ", known" : ""}`;
    });
  await world.pass(withinMs);
  return kind;
}

function processesOf(world: World, id: string, runnerId: string): string[] {
  return world
    .node(id)
    .directory.placeOf(runnerId)
    .map(({ processId, nodeId }) => `${processId} at ${nodeId}`);
}

describe("the directory", () => {
  it("refuses another credential at every node, and for a while after the last agent was lost", async () => {
    const world = await startWorld("a", "b");
    assert.equal(await outcome(world, "a", agent("r", "x", "p")), "registered");
    assert.equal(await outcome(world, "b", agent("r", "y", "q")), "taken");
    world.node("a").disconnect("r", false);
    await world.pass(RESERVATION_MS * 0.8);
    assert.equal(await outcome(world, "b", agent("r", "y", "q")), "taken");
    assert.equal(world.node("b").directory.reservedFor("r"), "x");
    await world.pass(RESERVATION_MS * 0.3);
    assert.equal(await outcome(world, "b", agent("r", "y", "q")), "registered");
  });

  it("frees a runner that its agent has withdrawn, at once and for every node", async () => {
    const world = await startWorld("a", "b");
    await outcome(world, "a", agent("r", "x", "p"));
    world.node("a").disconnect("r", true);
    await world.pass(1_000);
    assert.equal(await outcome(world, "b", agent("r", "y", "q")), "registered");
  });

  it("uses the newest generation first, stand-bys after it, and discoverers last", async () => {
    const world = await startWorld("a", "b");
    await outcome(world, "a", { ...agent("r", "z", "finder"), discovered: true });
    await outcome(world, "a", agent("r", "x", "old"));
    await outcome(world, "b", agent("r", "x", "new"));
    await outcome(world, "b", { ...agent("r", "x", "standby"), standby: true });
    await outcome(world, "a", agent("r", "x", "new"));
    const expected = ["new at a", "new at b", "old at a", "standby at b", "finder at a"];
    for (const id of ["a", "b"]) {
      const places = processesOf(world, id, "r");
      assert.deepEqual([...places.slice(0, 2).toSorted(), ...places.slice(2)], expected);
    }
    const generations = world
      .node("b")
      .directory.placeOf("r")
      .slice(0, 2)
      .map(({ generation }) => generation);
    assert.equal(new Set(generations).size, 1, "one process at two nodes");
  });

  it("leaves discoverers at most half of an entry", async () => {
    const world = await startWorld("a");
    const finders = Array.from({ length: MAX_PLACES_PER_RUNNER }, (_, i) => i);
    const outcomes: string[] = [];
    for (const i of finders)
      outcomes.push(await outcome(world, "a", { ...agent("r", "z", `finder-${i}`), discovered: true }, 300));
    assert.equal(outcomes.filter((each) => each === "registered").length, MAX_PLACES_PER_RUNNER / 2);
    assert.equal(await outcome(world, "a", agent("r", "x", "own")), "registered");
  });

  it("stops acting as a holder before others end its lease, and enters its runners again afterwards", async () => {
    const world = await startWorld("a", "b");
    await outcome(world, "a", agent("r", "x", "p"));
    world.node("a").link.isUp = false;
    for (let passedMs = 0; world.node("a").directory.isHolder && passedMs < 2 * FENCE_MS; passedMs += 100)
      await world.pass(100);
    assert.equal(world.node("a").directory.isHolder, false);
    assert.deepEqual(processesOf(world, "b", "r"), ["p at a"]);
    await world.pass(SUSPECT_MS);
    assert.deepEqual(processesOf(world, "b", "r"), []);
    world.node("a").link.isUp = true;
    await world.settle();
    assert.deepEqual(processesOf(world, "b", "r"), ["p at a"]);
  });

  it("tells a node whose runner went to another credential meanwhile", async () => {
    const world = await startWorld("a", "b");
    await outcome(world, "a", agent("r", "x", "p"));
    world.node("a").link.isUp = false;
    await world.pass(SUSPECT_MS + RESERVATION_MS * 1.2);
    assert.equal(await outcome(world, "b", agent("r", "y", "q")), "registered");
    world.node("a").link.isUp = true;
    await world.settle();
    assert.deepEqual(world.node("a").refused, ["r"]);
    assert.deepEqual(processesOf(world, "a", "r"), ["q at b"]);
  });

  it("leaves a node's id to the process that has it, until that has been silent for long enough", async () => {
    const world = await startWorld("a", "b");
    await outcome(world, "a", agent("r", "x", "p"));
    const older = world.node("a");
    const newer = world.start("a");
    await world.pass(3 * SUSPECT_MS);
    assert.equal(newer.directory.status().lease, "taken");
    assert.match(newer.directory.status().problem ?? "", /another process has this node's id/);
    assert.deepEqual(processesOf(world, "b", "r"), ["p at a"]);
    older.crash();
    await world.pass(2 * SUSPECT_MS);
    assert.equal(newer.directory.status().lease, "held");
    assert.deepEqual(processesOf(world, "b", "r"), [], "nothing of the older process is valid");
  });

  it("serves a known agent while the engine is away, refuses others, and enters it later", async () => {
    const world = await startWorld("a", "b");
    await outcome(world, "a", agent("r", "x", "p"));
    world.node("a").disconnect("r", false);
    await world.pass(1_000);
    world.outage(false);
    const waitMs = REGISTER_WAIT_MS * 1.1;
    assert.equal(await outcome(world, "b", agent("r", "x", "p"), waitMs), "unavailable, known");
    assert.equal(await outcome(world, "b", agent("s", "y", "q"), waitMs), "unavailable");
    await world.settle();
    assert.deepEqual(processesOf(world, "a", "r"), ["p at b"]);
    assert.deepEqual(processesOf(world, "a", "s"), []);
    assert.deepEqual(world.ended, []);
  });

  it("keeps a later registration of a process when an earlier one has waited too long", async () => {
    const world = await startWorld("a", "b");
    world.outage(false);
    void outcome(world, "a", agent("r", "x", "p"), 0);
    await world.pass(REGISTER_WAIT_MS * 0.7);
    const later = world.node("a").connect(agent("r", "x", "p"));
    await world.pass(REGISTER_WAIT_MS * 0.5);
    world.outage(true);
    await world.pass(5_000);
    assert.equal(await later, "registered");
    assert.deepEqual(processesOf(world, "b", "r"), ["p at a"]);
  });

  it("removes entries that nothing lives in, and later what is left of them", async () => {
    const world = await startWorld("a", "b");
    await outcome(world, "a", agent("r", "x", "p"));
    world.node("a").disconnect("r", false);
    await world.pass((RESERVATION_MS + SWEEP_AFTER_MS + 2 * SWEEP_INTERVAL_MS) * 1.1);
    assert.equal(world.engine.entries.get("runners.r")?.value, undefined);
    assert.ok(world.engine.entries.has("runners.r"), "the deletion is kept for watches that were away");
    await world.pass((TOMBSTONE_MS + 4 * SWEEP_INTERVAL_MS) * 1.1);
    assert.equal(world.engine.entries.has("runners.r"), false);
    assert.equal(await outcome(world, "b", agent("r", "y", "q"), 3_000), "registered");
    await world.settle();
  });
});
