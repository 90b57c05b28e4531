/**
 * The rule of who may have a place: from a runner's entry and what serves the runner at this node to the entry as it should be.
 * Nothing here waits or remembers: if the entry has changed when it is written, the rule is applied anew.
 */
import { MAX_ENTRY_BYTES, MAX_PLACES_PER_RUNNER } from "../limits.ts";
import { encodePlace, isSamePlace } from "./records.ts";
import type { PlaceRecord, RunnerRecord } from "./records.ts";
import type { LocalRunner, Refusal } from "./views.ts";

export interface Situation {
  record: RunnerRecord | undefined;
  /** What serves the runner at this node. */
  local: readonly LocalRunner[];
  self: { node: string; epoch: string };
  isLive: (place: PlaceRecord) => boolean;
  /** The credential for which the runner is reserved. */
  reservedFor: string | undefined;
  /** The runner was withdrawn here, or its credential was revoked: it is not reserved unless an agent serves it elsewhere. */
  isFreed: boolean;
  /** No generation of the runner was as high, ever. */
  unusedGeneration: number;
}

export interface Plan {
  refused: { local: LocalRunner; refusal: Refusal }[];
  /** What to write: "delete", or undefined if the entry is as it should be. */
  write: RunnerRecord | "delete" | undefined;
}

export function plan(situation: Situation): Plan {
  const { record, local, self, isLive, reservedFor, isFreed } = situation;
  const mine = (place: PlaceRecord): boolean => place.node === self.node && place.epoch === self.epoch;
  const before = record?.places ?? [];
  const here = before.filter(mine);
  const elsewhere = before.filter((place) => !mine(place) && isLive(place));
  const isHeldElsewhere = elsewhere.some(({ discovered }) => !discovered);

  const refused: Plan["refused"] = [];
  let credential = isFreed && !isHeldElsewhere ? undefined : reservedFor;
  let generation = Math.max(
    record?.generation ?? 0,
    record === undefined ? situation.unusedGeneration - 1 : 0,
  );
  const room = new Room(elsewhere);
  const wanted: PlaceRecord[] = [];
  for (const one of [...local].sort(ownFirst)) {
    const refusal = isTakenFrom(one, credential) ? TAKEN : undefined;
    const known = [...elsewhere, ...here, ...wanted].find(
      (place) => isSamePlace(place, one.processId, one.discovered) && place.credential === one.credentialId,
    );
    const place = placeOf(one, self, known?.generation ?? generation + 1);
    const problem = refusal ?? (room.take(place) ? undefined : FULL);
    if (problem !== undefined) {
      refused.push({ local: one, refusal: problem });
      continue;
    }
    generation = Math.max(generation, place.generation);
    if (!one.discovered) credential = one.credentialId;
    wanted.push(place);
  }
  const isAsWanted = textOf(here) === textOf(wanted) && !(isFreed && record?.credential !== credential);
  if (isAsWanted || (record === undefined && wanted.length === 0)) return { refused, write: undefined };
  const places = [...elsewhere, ...wanted];
  if (places.length === 0 && credential === undefined) return { refused, write: "delete" };
  return { refused, write: { credential, generation, places } };
}

const TAKEN: Refusal = { kind: "taken", reason: "another credential holds this runner", isKnown: false };
const FULL: Refusal = { kind: "full", reason: "too many agents serve this runner", isKnown: false };

function isTakenFrom({ discovered, credentialId }: LocalRunner, credential: string | undefined): boolean {
  return !discovered && credential !== undefined && credential !== credentialId;
}

function ownFirst(a: LocalRunner, b: LocalRunner): number {
  return Number(a.discovered) - Number(b.discovered);
}

function placeOf(
  { processId, bootEpochMs, credentialId, standby, discovered, streamsPerTarget, targets }: LocalRunner,
  self: { node: string; epoch: string },
  generation: number,
): PlaceRecord {
  return {
    ...self,
    process: processId,
    bootMs: bootEpochMs,
    credential: credentialId,
    generation,
    standby,
    discovered,
    streams: streamsPerTarget,
    targets: [...targets],
  };
}

function textOf(places: readonly PlaceRecord[]): string {
  return places.map(encodePlace).sort().join("\n");
}

/** Of an entry. Agents that have only discovered the runner get at most half of it: they leave room for the runner's own. */
class Room {
  #places: number;
  #bytes: number;

  constructor(taken: readonly PlaceRecord[]) {
    this.#places = taken.length;
    this.#bytes = taken.reduce((sum, place) => sum + encodePlace(place).length, 0);
  }

  /** False if there is none. */
  take(place: PlaceRecord): boolean {
    const bytes = encodePlace(place).length;
    const share = place.discovered ? 2 : 1;
    if ((this.#places + 1) * share > MAX_PLACES_PER_RUNNER) return false;
    if ((this.#bytes + bytes) * share > MAX_ENTRY_BYTES) return false;
    this.#places += 1;
    this.#bytes += bytes;
    return true;
  }
}
