/**
 * The directory under whatever happens to nodes, links and agents, on simulated clocks: random histories, checked at every write
 * (test/simulation/world.ts) and at their end. A failing history is printed, shrunk, with its seed.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { agent, World } from "../../simulation/world.ts";

const NODES = ["a", "b", "c"] as const;
const RUNNERS = ["r", "s"] as const;

type Step = (world: World) => void;

const node = fc.constantFrom(...NODES);
const runner = fc.constantFrom(...RUNNERS);
const durationMs = fc.integer({ min: 200, max: 30_000 });

const connects = fc
  .record({ node, runner, credential: fc.constantFrom("x", "y"), process: fc.constantFrom("p", "q", "v") })
  .map(({ node: at, runner: id, credential, process }): Step => {
    return (world) => {
      // A process has one credential.
      if (world.node(at).isAlive)
        void world.node(at).connect(agent(id, credential, `${credential}-${process}`));
    };
  });
const disconnects = fc
  .record({ node, runner, isWithdrawn: fc.boolean() })
  .map(({ node: at, runner: id, isWithdrawn }): Step => {
    return (world) => {
      if (world.node(at).isAlive) world.node(at).disconnect(id, isWithdrawn);
    };
  });
const crashes = fc.record({ node, durationMs }).map(({ node: id, durationMs: forMs }): Step => {
  return (world) => {
    if (!world.node(id).isAlive) return;
    world.node(id).crash();
    world.timeline.after(forMs, () => void world.start(id));
  };
});
const cuts = fc.record({ node, durationMs }).map(({ node: id, durationMs: forMs }): Step => {
  return (world) => {
    const { link } = world.node(id);
    link.isUp = false;
    world.timeline.after(forMs, () => (link.isUp = true));
  };
});
const blinds = fc.record({ node, durationMs }).map(({ node: id, durationMs: forMs }): Step => {
  return (world) => {
    const { link } = world.node(id);
    link.isBlind = true;
    world.timeline.after(forMs, () => (link.isBlind = false));
  };
});
const suspensions = fc.record({ node, durationMs }).map(({ node: id, durationMs: forMs }): Step => {
  return (world) => {
    const process = world.node(id);
    process.isSuspended = true;
    world.timeline.after(forMs, () => process.resume());
  };
});
const outages = durationMs.map((forMs): Step => {
  return (world) => {
    world.outage(false);
    world.timeline.after(forMs, () => world.outage(true));
  };
});

const anything = fc.oneof(
  { weight: 6, arbitrary: connects },
  { weight: 3, arbitrary: disconnects },
  { weight: 2, arbitrary: crashes },
  { weight: 2, arbitrary: cuts },
  { weight: 1, arbitrary: blinds },
  { weight: 1, arbitrary: suspensions },
  { weight: 1, arbitrary: outages },
);

/** What happens, each after a pause. */
function history(steps: fc.Arbitrary<Step>, maxLength: number): fc.Arbitrary<[number, Step][]> {
  const pauseMs = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 200, max: 12_000 }));
  return fc.array(fc.tuple(pauseMs, steps), { minLength: 3, maxLength });
}

async function play(seed: number, steps: readonly [number, Step][]): Promise<World> {
  const world = new World(seed);
  for (const id of NODES) world.start(id);
  await world.pass(3_000);
  for (const [pauseMs, step] of steps) {
    step(world);
    await world.pass(pauseMs);
  }
  return world;
}

const SEED = Number(process.env["TURNABOUT_TEST_SEED"] ?? 20_260);

describe("the directory on simulated clocks", () => {
  it("has one holder for each generation and one credential for each runner, whatever happens, and comes to the truth", async () => {
    const histories = fc.tuple(fc.nat(), history(anything, 25));
    await fc.assert(
      fc.asyncProperty(histories, async ([seed, steps]) => {
        const world = await play(seed, steps);
        await world.pass(30_000);
        await world.settle();
      }),
      { seed: SEED, numRuns: 80, endOnFailure: true },
    );
  });

  it("ends no lease because the engine was away, however long and often", async () => {
    const histories = fc.tuple(fc.nat(), history(fc.oneof(connects, outages, outages), 10));
    await fc.assert(
      fc.asyncProperty(histories, async ([seed, steps]) => {
        const world = await play(seed, steps);
        await world.settle();
        assert.deepEqual(world.ended, []);
      }),
      { seed: SEED, numRuns: 25, endOnFailure: true },
    );
  });
});
