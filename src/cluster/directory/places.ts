/** The runners' places, as our copy has them: which are valid, who holds a runner, and for whom it is reserved. */
import { RESERVATION_MS } from "../limits.ts";
import type { Clock } from "./clock.ts";
import type { Nodes } from "./nodes.ts";
import { parseRunner } from "./records.ts";
import type { PlaceRecord, RunnerRecord } from "./records.ts";

export interface RunnerEntry {
  record: RunnerRecord;
  revision: number;
  /** When our copy got this revision, by our own clock. */
  seenAt: number;
}

export class Places {
  readonly #clock: Clock;
  readonly #nodes: Nodes;
  readonly #runners = new Map<string, RunnerEntry>();
  /** Runners with a place at a node. */
  readonly #byNode = new Map<string, Set<string>>();

  constructor(clock: Clock, nodes: Nodes) {
    this.#clock = clock;
    this.#nodes = nodes;
  }

  entry(runnerId: string): RunnerEntry | undefined {
    return this.#runners.get(runnerId);
  }

  runnerIds(): Iterable<string> {
    return this.#runners.keys();
  }

  /** Those with a place at a node, valid or not. */
  runnersAt(nodeId: string): ReadonlySet<string> {
    return this.#byNode.get(nodeId) ?? new Set();
  }

  update(runnerId: string, value: string | undefined, revision: number): void {
    for (const { node } of this.#runners.get(runnerId)?.record.places ?? []) {
      const runners = this.#byNode.get(node);
      runners?.delete(runnerId);
      if (runners?.size === 0) this.#byNode.delete(node);
    }
    const record = parseRunner(value);
    if (record === undefined) {
      this.#runners.delete(runnerId);
      return;
    }
    this.#runners.set(runnerId, { record, revision, seenAt: this.#clock.now() });
    for (const { node } of record.places) {
      const runners = this.#byNode.get(node) ?? new Set();
      this.#byNode.set(node, runners.add(runnerId));
    }
  }

  /** In the order in which they are used: the newest generation of the runner's own agents, stand-bys, discoverers. */
  valid(runnerId: string): PlaceRecord[] {
    const places = this.#runners.get(runnerId)?.record.places ?? [];
    return places.filter((place) => this.#nodes.isLive(place)).sort(inOrderOfUse);
  }

  /** The credential for which the runner is reserved: while an agent of it has a valid place, and for a while afterwards. */
  reservedFor(runnerId: string): string | undefined {
    const { record } = this.#runners.get(runnerId) ?? {};
    if (record?.credential === undefined) return undefined;
    return this.#unheldForMs(runnerId) < RESERVATION_MS ? record.credential : undefined;
  }

  /** Nothing of the entry is valid, and nobody has been able to return to it for this long. */
  idleForMs(runnerId: string): number {
    return this.valid(runnerId).length > 0 ? 0 : this.#unheldForMs(runnerId);
  }

  /** Since when no agent of the runner's own has a valid place, as far as we know. */
  #unheldForMs(runnerId: string): number {
    const entry = this.#runners.get(runnerId);
    if (entry === undefined) return Infinity;
    let since = entry.seenAt;
    for (const place of entry.record.places) {
      if (place.discovered) continue;
      if (this.#nodes.isLive(place)) return 0;
      since = Math.max(since, this.#nodes.endOf(place) ?? since);
    }
    return this.#clock.now() - since;
  }
}

function inOrderOfUse(a: PlaceRecord, b: PlaceRecord): number {
  return rank(a) - rank(b) || b.generation - a.generation;
}

function rank({ discovered, standby }: PlaceRecord): number {
  return discovered ? 2 : standby ? 1 : 0;
}
