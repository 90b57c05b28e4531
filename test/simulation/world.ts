/**
 * A cluster on simulated time: real directories, a simulated engine, and agents. It checks at every write what must hold at every
 * moment, and at the end that all nodes agree on the truth.
 */
import assert from "node:assert/strict";
import { Directory } from "../../src/cluster/directory/directory.ts";
import type { Clock } from "../../src/cluster/directory/clock.ts";
import type { Registration } from "../../src/cluster/directory/runner-writer.ts";
import { parseKey, parseNode, parseRunner } from "../../src/cluster/directory/records.ts";
import type { PlaceRecord } from "../../src/cluster/directory/records.ts";
import type { LocalRunner } from "../../src/cluster/directory/views.ts";
import { RESERVATION_MS } from "../../src/cluster/limits.ts";
import { silentLogger } from "../../src/wire/log.ts";
import { Engine, Link } from "./engine.ts";
import type { Commit } from "./engine.ts";
import { randomFrom, Timeline } from "./timeline.ts";

/** How much a node's clock may run fast or slow. */
const DRIFT = 0.05;
const SETTLE_MS = 90_000;

/** One process of a node. */
export class SimulatedNode {
  readonly id: string;
  readonly epochs: Set<string> = new Set();
  readonly link: Link;
  readonly directory: Directory;
  /** Agents that this node serves, as it knows itself. */
  readonly agents: Map<string, LocalRunner> = new Map();
  readonly refused: string[] = [];
  /** Runners that an agent has withdrawn here, ever. */
  readonly withdrawn: Set<string> = new Set();
  readonly #timeline: Timeline;
  readonly #rate: number;
  readonly #missed: (() => void)[] = [];
  isAlive = true;
  isSuspended = false;

  constructor(id: string, engine: Engine) {
    this.id = id;
    this.#timeline = engine.timeline;
    this.#rate = 1 - DRIFT + engine.random() * 2 * DRIFT;
    this.link = new Link(engine, this, (run) => this.deliver(run));
    this.directory = new Directory({
      keyValue: this.link,
      clock: this.#clock(),
      log: silentLogger,
      nodeId: id,
      url: `https://${id}.example`,
      version: "1",
      createEpoch: () => {
        const epoch = `${id}-${Math.floor(engine.random() * 2 ** 48).toString(36)}`;
        this.epochs.add(epoch);
        return epoch;
      },
      onRefused: (local) => {
        this.refused.push(local.runnerId);
        if (this.agents.get(keyOf(local)) === local) this.agents.delete(keyOf(local));
      },
    });
    void this.directory.start();
  }

  /** Runs it when the process runs. */
  deliver(run: () => void): void {
    if (!this.isAlive) return;
    if (this.isSuspended) this.#missed.push(run);
    else run();
  }

  resume(): void {
    this.isSuspended = false;
    for (const run of this.#missed.splice(0)) if (this.isAlive) run();
  }

  crash(): void {
    this.isAlive = false;
    this.link.close();
  }

  async connect(local: LocalRunner): Promise<Registration> {
    this.agents.set(keyOf(local), local);
    const registration = await this.directory.register(local);
    const isServed = registration === "registered" || registration.isKnown;
    if (!isServed && this.agents.get(keyOf(local)) === local) this.agents.delete(keyOf(local));
    return registration;
  }

  disconnect(runnerId: string, isWithdrawn: boolean): void {
    for (const [key, local] of this.agents) {
      if (local.runnerId !== runnerId) continue;
      this.agents.delete(key);
      if (isWithdrawn) this.withdrawn.add(runnerId);
      const { processId, discovered } = local;
      this.directory.unregister({ runnerId, processId, discovered, isWithdrawn });
    }
  }

  /** The credential for which it acts as the holder of a runner. */
  holds(runnerId: string): string | undefined {
    if (!this.isAlive || !this.directory.isHolder) return undefined;
    const place = this.directory.placeOf(runnerId).find(({ isSelf, discovered }) => isSelf && !discovered);
    const isServed = [...this.agents.values()].some(
      (local) => local.runnerId === runnerId && local.processId === place?.processId,
    );
    return isServed ? place?.credentialId : undefined;
  }

  #clock(): Clock {
    return {
      now: () => 1_000_000 + this.#timeline.now * this.#rate,
      after: (delayMs, run) => this.#timeline.after(delayMs / this.#rate, () => this.deliver(run)),
    };
  }
}

export class World {
  readonly timeline: Timeline = new Timeline();
  readonly engine: Engine;
  readonly nodes: Map<string, SimulatedNode> = new Map();
  /** Leases that were ended, and by which node. */
  readonly ended: { node: string; by: object }[] = [];
  readonly #processes: SimulatedNode[] = [];
  /** By runner and generation: the process that has it. */
  readonly #generations = new Map<string, string>();
  /** By runner: when an agent of a credential last had a valid place. */
  readonly #lastHeld = new Map<string, { credential: string; at: number }>();
  readonly #runners = new Set<string>();
  readonly #violations: Error[] = [];

  constructor(seed: number) {
    this.engine = new Engine(this.timeline, randomFrom(seed));
    // The writer would take it for the engine's error.
    this.engine.beforeCommit = (commit) => {
      try {
        this.#check(commit);
      } catch (error) {
        this.#violations.push(error as Error);
      }
    };
  }

  start(id: string): SimulatedNode {
    const node = new SimulatedNode(id, this.engine);
    this.nodes.set(id, node);
    this.#processes.push(node);
    return node;
  }

  node(id: string): SimulatedNode {
    return this.nodes.get(id) ?? assert.fail(`no node ${id}`);
  }

  /** Its process is killed, and started again. */
  async restart(id: string, afterMs: number): Promise<void> {
    this.node(id).crash();
    await this.pass(afterMs);
    this.start(id);
  }

  outage(isOver: boolean): void {
    this.engine.isUp = isOver;
    for (const link of this.engine.links) link.onEngineChange();
  }

  async pass(durationMs: number): Promise<void> {
    await this.timeline.pass(durationMs);
    this.#checkHolders();
    const [violation] = this.#violations;
    if (violation !== undefined) throw violation;
  }

  /** Mends everything, and checks that all nodes come to the truth. */
  async settle(): Promise<void> {
    this.outage(true);
    this.engine.isReliable = true;
    for (const node of this.nodes.values()) {
      if (node.isSuspended) node.resume();
      node.link.isUp = true;
      node.link.isBlind = false;
    }
    await this.pass(SETTLE_MS);
    const alive = [...this.nodes.values()].filter(({ isAlive }) => isAlive);
    const ids = alive.map(({ id }) => id).toSorted();
    for (const { directory, id } of alive) {
      const { lease, isFresh, isHolder } = directory.status();
      assert.deepEqual(
        { id, lease, isFresh, isHolder },
        { id, lease: "held", isFresh: true, isHolder: true },
      );
      assert.deepEqual(
        directory
          .nodes()
          .map((node) => node.id)
          .toSorted(),
        ids,
        `the nodes that ${id} knows`,
      );
    }
    for (const runnerId of this.#runners) {
      const truth = alive
        .flatMap(({ id, agents }) => [...agents.values()].map((local) => ({ id, local })))
        .filter(({ local }) => local.runnerId === runnerId)
        .map(({ id, local }) => `${local.processId} at ${id}`);
      for (const { directory, id } of alive) {
        const places = directory
          .placeOf(runnerId)
          .map(({ processId, nodeId }) => `${processId} at ${nodeId}`);
        assert.deepEqual(places.toSorted(), truth.toSorted(), `${runnerId} as ${id} knows it`);
      }
      const [first = []] = alive.map(({ directory }) => orderOf(directory, runnerId));
      for (const { directory } of alive) assert.deepEqual(orderOf(directory, runnerId), first, "one order");
    }
  }

  #check(commit: Commit): void {
    this.#noteHeld();
    const { kind, id } = parseKey(commit.key) ?? {};
    if (kind === "node" && id !== undefined) this.#checkLease(id, commit);
    if (kind === "runner" && id !== undefined) this.#checkRunner(id, commit);
    this.#checkHolders();
  }

  /** Others end or take a lease only when its process no longer acts as a holder. */
  #checkLease(id: string, { by, key, value }: Commit): void {
    const before = parseNode(this.engine.entries.get(key)?.value);
    if (before === undefined || before.epoch === parseNode(value)?.epoch) return;
    const holder = this.#processes.find(({ epochs }) => epochs.has(before.epoch));
    if (holder === by) return;
    this.ended.push({ node: id, by });
    const isActing = holder?.isAlive === true && holder.directory.isHolder;
    assert.equal(isActing, false, `${id} lost its lease while it acted as a holder`);
  }

  #checkRunner(runnerId: string, { by, key, value }: Commit): void {
    this.#runners.add(runnerId);
    const before = parseRunner(this.engine.entries.get(key)?.value);
    const after = parseRunner(value);
    for (const { generation, process } of after?.places ?? []) {
      const known = this.#generations.get(`${runnerId} ${generation}`) ?? process;
      assert.equal(process, known, `two processes of ${runnerId} have generation ${generation}`);
      this.#generations.set(`${runnerId} ${generation}`, process);
    }
    const holders = new Set(
      (after?.places ?? [])
        .filter((place) => !place.discovered && this.#isLive(place))
        .map((p) => p.credential),
    );
    assert.ok(holders.size <= 1, `${runnerId} is held by ${[...holders].join(" and ")}`);
    if (after?.credential === undefined || before?.credential === undefined) return;
    if (after.credential === before.credential) return;
    // The withdrawal and the next registration at one node are one write.
    const held = before.places.filter((place) => !place.discovered && this.#isLive(place));
    const writer = this.#processes.find((node) => node === by);
    if (writer?.withdrawn.has(runnerId) === true && held.every(({ epoch }) => writer.epochs.has(epoch)))
      return;
    const last = this.#lastHeld.get(runnerId);
    if (last?.credential !== before.credential) return;
    const freeForMs = this.timeline.now - last.at;
    assert.ok(
      freeForMs > RESERVATION_MS * (1 - 2 * DRIFT),
      `${runnerId} was reserved: lost ${freeForMs} ms ago`,
    );
  }

  #noteHeld(): void {
    for (const runnerId of this.#runners) {
      const { places = [] } = parseRunner(this.engine.entries.get(`runners.${runnerId}`)?.value) ?? {};
      const held = places.find((place) => !place.discovered && this.#isLive(place));
      if (held !== undefined)
        this.#lastHeld.set(runnerId, { credential: held.credential, at: this.timeline.now });
    }
  }

  #isLive({ node, epoch }: PlaceRecord): boolean {
    return parseNode(this.engine.entries.get(`nodes.${node}`)?.value)?.epoch === epoch;
  }

  /** At one moment, all nodes that act as a runner's holder do so for one credential. */
  #checkHolders(): void {
    for (const runnerId of this.#runners) {
      const holders = this.#processes.map((node) => node.holds(runnerId)).filter((one) => one !== undefined);
      assert.ok(new Set(holders).size <= 1, `${runnerId} is held at once for ${holders.join(" and ")}`);
    }
  }
}

function keyOf({ runnerId, processId }: LocalRunner): string {
  return `${runnerId} ${processId}`;
}

function orderOf(directory: Directory, runnerId: string): string[] {
  return directory.placeOf(runnerId).map(({ processId, generation }) => `${processId} ${generation}`);
}

export function agent(runnerId: string, credentialId: string, processId: string): LocalRunner {
  return {
    runnerId,
    processId,
    bootEpochMs: 0,
    credentialId,
    standby: false,
    discovered: false,
    targets: [{ name: "web", http: "auto" }],
    streamsPerTarget: 512,
  };
}
