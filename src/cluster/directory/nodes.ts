/** The nodes whose leases live, as our copy has them, and for how long each lease has not changed. */
import { MAX_NODES, RESERVATION_MS, SUSPECT_MS } from "../limits.ts";
import type { Clock } from "./clock.ts";
import { parseNode } from "./records.ts";
import type { NodeRecord } from "./records.ts";

export interface Node extends NodeRecord {
  id: string;
  revision: number;
  /** By our own clock. */
  changedAt: number;
}

export class Nodes {
  readonly #clock: Clock;
  readonly #nodes = new Map<string, Node>();
  /** When leases ended that nobody needs to know of for long: `id epoch`. */
  readonly #ended = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  all(): Node[] {
    return [...this.#nodes.values()];
  }

  get(id: string): Node | undefined {
    return this.#nodes.get(id);
  }

  /** Its places are valid. */
  isLive({ node, epoch }: { node: string; epoch: string }): boolean {
    return this.#nodes.get(node)?.epoch === epoch;
  }

  /** When the end of a lease was seen; undefined if that is longer ago than a reservation lasts, or was never seen. */
  endOf({ node, epoch }: { node: string; epoch: string }): number | undefined {
    return this.#ended.get(`${node} ${epoch}`);
  }

  /** A record has changed. Returns whether the lease is another one, or none, now. */
  update(id: string, value: string | undefined, revision: number): boolean {
    const before = this.#nodes.get(id);
    const record = parseNode(value);
    const now = this.#clock.now();
    if (record === undefined) this.#nodes.delete(id);
    else if (before !== undefined || this.#nodes.size < MAX_NODES)
      this.#nodes.set(id, { ...record, id, revision, changedAt: now });
    if (before?.epoch === record?.epoch) return false;
    if (before !== undefined) this.#ended.set(`${id} ${before.epoch}`, now);
    for (const [key, at] of this.#ended) {
      if (now - at <= RESERVATION_MS) break; // the oldest are first
      this.#ended.delete(key);
    }
    return true;
  }

  /** Other nodes whose leases have not changed for too long, while our copy was fresh. */
  suspects(selfId: string, freshForMs: number): Node[] {
    if (freshForMs < SUSPECT_MS) return [];
    const now = this.#clock.now();
    return this.all().filter(({ id, changedAt }) => id !== selfId && now - changedAt >= SUSPECT_MS);
  }
}
