/**
 * Removes what nothing needs any longer: leases that their nodes do not renew, entries without a valid place, old deletions. Each is a
 * compare-and-set on what was seen, so that a node that is wrong removes nothing.
 */
import {
  MAX_SWEPT,
  RESERVATION_MS,
  SUSPECT_MS,
  SWEEP_AFTER_MS,
  SWEEP_INTERVAL_MS,
  TOMBSTONE_MS,
} from "../limits.ts";
import type { Clock } from "./clock.ts";
import type { KeyValue } from "./key-value.ts";
import type { Mirror } from "./mirror.ts";
import type { NodeLease } from "./node-lease.ts";
import type { Node, Nodes } from "./nodes.ts";
import type { Places } from "./places.ts";
import { nodeKey, runnerKey } from "./records.ts";

interface SweeperParts {
  keyValue: KeyValue;
  mirror: Mirror;
  clock: Clock;
  nodeId: string;
  lease: NodeLease;
  nodes: Nodes;
  places: Places;
  onSuspect: (node: Node) => void;
}

export class Sweeper {
  readonly #parts: SweeperParts;
  /** Nodes whose lease is being ended. */
  readonly #ending = new Set<string>();
  #isSweeping = false;
  #nextSweepAt = -Infinity;

  constructor(parts: SweeperParts) {
    this.#parts = parts;
  }

  tick(): void {
    const { lease, nodes, nodeId, onSuspect } = this.#parts;
    for (const node of nodes.suspects(nodeId, lease.freshForMs)) {
      if (this.#ending.has(node.id)) continue;
      this.#ending.add(node.id);
      onSuspect(node);
      void this.#end(node);
    }
    this.#sweepIfDue();
  }

  /** Loses against a renewal that we have not seen. */
  async #end({ id, revision }: Node): Promise<void> {
    await this.#parts.keyValue.delete(nodeKey(id), revision).catch(() => undefined); // the next tick looks again
    this.#ending.delete(id);
  }

  #sweepIfDue(): void {
    const { clock, lease } = this.#parts;
    if (clock.now() < this.#nextSweepAt || this.#isSweeping) return;
    this.#nextSweepAt = clock.now() + SWEEP_INTERVAL_MS;
    // An hour later than the one that sweeps, which may change meanwhile.
    this.#parts.mirror.expire(MAX_SWEPT, 2 * TOMBSTONE_MS);
    if (lease.freshForMs < SUSPECT_MS || !this.#isFirst()) return;
    this.#isSweeping = true;
    void this.#sweep().finally(() => (this.#isSweeping = false));
  }

  /** One node sweeps, so that the others do not meet it. */
  #isFirst(): boolean {
    const { nodes, nodeId } = this.#parts;
    return nodes.all().every(({ id }) => id >= nodeId);
  }

  /** Never rejects: what fails is seen again at the next sweep. */
  async #sweep(): Promise<void> {
    const { keyValue, places, mirror } = this.#parts;
    for (const { key, revision } of mirror.expire(MAX_SWEPT, TOMBSTONE_MS))
      await keyValue.forget(key, revision).catch(() => mirror.bury(key, revision));
    let swept = 0;
    for (const runnerId of places.runnerIds()) {
      if (swept >= MAX_SWEPT) return;
      if (places.idleForMs(runnerId) < RESERVATION_MS + SWEEP_AFTER_MS) continue;
      const revision = places.entry(runnerId)?.revision ?? 0;
      swept += 1;
      await keyValue.delete(runnerKey(runnerId), revision).catch(() => undefined);
    }
  }
}
