/** Bytes a second through each runner, out of what its connections have transferred between two lists. */
import { signal } from "@preact/signals";
import type { Runner } from "../api/types.ts";

export const traffic = signal<ReadonlyMap<string, number>>(new Map());

let before: ReadonlyMap<string, number> = new Map();
let beforeAt: number | undefined;

/** @param at by `performance.now()` */
export function noteTraffic(runners: readonly Runner[], at: number): void {
  const totals = new Map<string, number>();
  const rates = new Map<string, number>();
  const seconds = beforeAt === undefined ? 0 : (at - beforeAt) / 1_000;
  for (const { id, connections, behind } of runners) {
    let moved = 0;
    for (const connection of [...connections, ...behind]) {
      const total = connection.bytes ?? 0;
      totals.set(connection.id, total);
      moved += Math.max(0, total - (before.get(connection.id) ?? total));
    }
    if (seconds > 0) rates.set(id, moved / seconds);
  }
  before = totals;
  beforeAt = at;
  traffic.value = rates;
}

export function forgetTraffic(): void {
  before = new Map();
  beforeAt = undefined;
  traffic.value = new Map();
}
