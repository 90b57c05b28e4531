/** Which runners the list shows, in which order, and under which headings. */
import type { Runner } from "../api/types.ts";

export const SORTS = ["name", "state", "round trip", "streams", "newest"] as const;
export type Sort = (typeof SORTS)[number];

export const FILTERS = ["all", "connected", "attention"] as const;
export type Filter = (typeof FILTERS)[number];

export interface Arrangement {
  text: string;
  filter: Filter;
  sort: Sort;
  isGrouped: boolean;
  /** Prefixes whose runners are hidden. */
  closed: ReadonlySet<string>;
}

export type Row =
  | { kind: "group"; prefix: string; size: number; troubled: number; isClosed: boolean }
  | { kind: "runner"; runner: Runner };

/** `sandbox` of `sandbox-ses_1`; the whole id where it has no separator. */
export function prefixOf(id: string): string {
  return /^[^-_.]+/.exec(id)?.[0] ?? id;
}

/** Someone should look at it: not connected, dials wait, or a target is down. */
export function isTroubled({ state, targets, waitingDials }: Runner): boolean {
  return state !== "connected" || waitingDials > 0 || targets.some(({ healthy }) => !healthy);
}

export function arrange(
  runners: readonly Runner[],
  { text, filter, sort, isGrouped, closed }: Arrangement,
): Row[] {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  const shown = runners
    .filter((runner) => matchesFilter(runner, filter) && words.every((word) => matches(runner, word)))
    .toSorted(ORDERS[sort]);
  if (!isGrouped) return shown.map((runner) => ({ kind: "runner", runner }));
  const groups = Map.groupBy(shown, ({ id }) => prefixOf(id));
  return [...groups]
    .toSorted(([one], [other]) => compareText(one, other))
    .flatMap(([prefix, members]): Row[] => {
      const isClosed = closed.has(prefix);
      const group: Row = {
        kind: "group",
        prefix,
        size: members.length,
        troubled: members.filter(isTroubled).length,
        isClosed,
      };
      return isClosed ? [group] : [group, ...members.map((runner): Row => ({ kind: "runner", runner }))];
    });
}

export function streamsOf({ connections, behind }: Runner): number {
  return [...connections, ...behind].reduce((sum, { streams }) => sum + streams, 0);
}

function matchesFilter(runner: Runner, filter: Filter): boolean {
  if (filter === "connected") return runner.state === "connected";
  return filter === "all" || isTroubled(runner);
}

function matches(
  { id, state, carrier, version, credential, targets, connections }: Runner,
  word: string,
): boolean {
  const has = (value: string | null | undefined): boolean => value?.toLowerCase().includes(word) === true;
  return (
    has(id) ||
    has(state) ||
    has(carrier) ||
    has(version) ||
    has(credential) ||
    targets.some(({ name }) => has(name)) ||
    connections.some(({ peer }) => has(peer))
  );
}

const COLLATOR = new Intl.Collator("en", { numeric: true });
const compareText = COLLATOR.compare;
const byName = (one: Runner, other: Runner): number => compareText(one.id, other.id);
const STATES: readonly string[] = ["gone", "reconnecting", "connected"];

const ORDERS: Readonly<Record<Sort, (one: Runner, other: Runner) => number>> = {
  name: byName,
  state: (one, other) =>
    STATES.indexOf(one.state) - STATES.indexOf(other.state) ||
    Number(isTroubled(other)) - Number(isTroubled(one)) ||
    byName(one, other),
  "round trip": (one, other) => (other.rttMs ?? -1) - (one.rttMs ?? -1) || byName(one, other),
  streams: (one, other) => streamsOf(other) - streamsOf(one) || byName(one, other),
  newest: (one, other) => other.since.localeCompare(one.since) || byName(one, other),
};
