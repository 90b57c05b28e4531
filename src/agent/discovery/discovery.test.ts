/** Discovery's clock: the engine and the timers are the test's. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { silentLogger } from "../../wire/log.ts";
import {
  DOCKER_BACKOFF_CAP_MS,
  DOCKER_POLL_INTERVAL_MS,
  DOCKER_POLL_PAUSE_MS,
  DOCKER_SILENT_MS,
} from "../limits.ts";
import type { Container } from "./containers.ts";
import { Discovery } from "./discovery.ts";

let now = 0;

beforeEach(() => {
  now = 0;
  mock.timers.enable({ apis: ["setTimeout"] });
  mock.method(performance, "now", () => now);
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

const CONTAINER: Container = {
  id: "c1",
  name: "one",
  createdAtS: 0,
  labels: new Map([
    ["turnabout.runner", "sandbox-1"],
    ["turnabout.target.x", "80"],
  ]),
  networkMode: "default",
  addresses: new Map([["bridge", "172.17.0.2"]]),
};

/** Everything that follows without the clock. */
async function settle(): Promise<void> {
  for (let n = 0; n < 10; n += 1) await new Promise<void>((resolve) => void setImmediate(resolve));
}

async function pass(ms: number): Promise<void> {
  now += ms;
  mock.timers.tick(ms);
  await settle();
}

interface Stand extends AsyncDisposable {
  looks: number;
  containers: Container[];
  isAway: boolean;
  announced: string[];
  hint: () => void;
  /** Withdrawing a runner throws. */
  isBroken: boolean;
  readonly figures: Discovery["figures"];
}

async function start(): Promise<Stand> {
  const announced = new Set<string>();
  const stand: Stand = {
    looks: 0,
    containers: [],
    isAway: false,
    isBroken: false,
    get announced() {
      return [...announced];
    },
    hint: () => {},
    get figures() {
      return discovery.figures;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = discovery.close();
      await pass(DOCKER_POLL_INTERVAL_MS);
      await closed;
    },
  };
  const discovery = new Discovery({
    engine: {
      list: () => {
        stand.looks += 1;
        if (stand.isAway) return Promise.reject(new Error("away"));
        return Promise.resolve({ containers: stand.containers, problems: [] });
      },
      follow: (signal, { subscribed, hint }) => {
        stand.hint = hint;
        subscribed();
        const { promise, reject } = Promise.withResolvers<void>();
        signal.addEventListener("abort", () => reject(new Error("given up")), { once: true });
        return promise;
      },
    },
    hostNetwork: false,
    log: silentLogger,
    own: () => new Set(),
    maxRunners: () => 10,
    add: ({ id }) => announced.add(id),
    remove: (id) => {
      if (stand.isBroken) throw new Error("cannot be withdrawn");
      announced.delete(id);
    },
  });
  discovery.start();
  await settle();
  await pass(DOCKER_POLL_PAUSE_MS); // the look that follows the subscription
  await pass(DOCKER_POLL_PAUSE_MS);
  return stand;
}

describe("a hint", () => {
  it("is followed by a look at once", async () => {
    await using stand = await start();
    const before = stand.looks;
    stand.containers = [CONTAINER];
    stand.hint();
    await settle();
    assert.deepEqual([stand.looks, stand.announced], [before + 1, ["sandbox-1"]]);
  });

  it("behind another waits for a moment, with all that come in it", async () => {
    await using stand = await start();
    const before = stand.looks;
    for (let n = 0; n < 1_000; n += 1) stand.hint();
    await settle();
    for (let n = 0; n < 1_000; n += 1) stand.hint();
    await settle();
    assert.equal(stand.looks, before + 1);
    await pass(DOCKER_POLL_PAUSE_MS);
    assert.equal(stand.looks, before + 2);
  });

  it("is not needed: there is a look now and then", async () => {
    await using stand = await start();
    stand.containers = [CONTAINER];
    await pass(DOCKER_POLL_INTERVAL_MS - 1);
    assert.deepEqual(stand.announced, []);
    await pass(1);
    assert.deepEqual(stand.announced, ["sandbox-1"]);
  });
});

describe("an engine that falls silent", () => {
  it("keeps its containers for a minute, and no longer", async () => {
    await using stand = await start();
    stand.containers = [CONTAINER];
    stand.hint();
    await settle();
    stand.isAway = true;
    await pass(DOCKER_POLL_INTERVAL_MS);
    while (now < DOCKER_SILENT_MS) {
      assert.deepEqual(stand.announced, ["sandbox-1"]);
      await pass(DOCKER_BACKOFF_CAP_MS);
    }
    for (let n = 0; n < 3; n += 1) await pass(DOCKER_BACKOFF_CAP_MS);
    assert.deepEqual(stand.announced, []);
    stand.isAway = false;
    await pass(DOCKER_BACKOFF_CAP_MS);
    assert.deepEqual(stand.announced, ["sandbox-1"]);
  });

  it("is looked at again also where withdrawing its containers failed", async () => {
    await using stand = await start();
    stand.containers = [CONTAINER];
    stand.hint();
    await settle();
    stand.isAway = true;
    stand.isBroken = true;
    while (now < DOCKER_SILENT_MS) await pass(DOCKER_BACKOFF_CAP_MS);
    for (let n = 0; n < 3; n += 1) await pass(DOCKER_BACKOFF_CAP_MS);
    const before = stand.looks;
    await pass(DOCKER_BACKOFF_CAP_MS);
    assert.ok(stand.looks > before);
    stand.isBroken = false;
  });
});

describe("the figures of discovery", () => {
  it("count what was announced, withdrawn and refused, and say whether the engine responds", async () => {
    await using stand = await start();
    const { figures } = stand;
    const look = async (): Promise<void> => {
      await pass(DOCKER_POLL_PAUSE_MS);
      await pass(DOCKER_POLL_INTERVAL_MS);
    };
    assert.deepEqual([figures.isUp, figures.announced, figures.failures.list], [true, 0, 0]);
    const unusable = { ...CONTAINER, id: "c2", name: "two", labels: new Map([["turnabout.runner", "NO"]]) };
    stand.containers = [CONTAINER, unusable];
    await look();
    assert.deepEqual([figures.announced, figures.refused], [1, 1]);
    stand.containers = [];
    await look();
    assert.deepEqual([figures.announced, figures.changes], [0, { announced: 1, withdrawn: 1 }]);
    stand.isAway = true;
    await look();
    assert.deepEqual([figures.isUp, figures.failures.list], [false, 1]);
    assert.equal(figures.lists.count, stand.looks - figures.failures.list);
  });
});
