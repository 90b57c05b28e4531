/**
 * The keys by which places at a connection are counted. A text that is joined anew for each request is hashed anew wherever it is
 * looked up, a dozen times for each: these are joined once.
 */
import { formatAuthority } from "../../wire/messages/names.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { MAX_PLACE_KEYS } from "./limits.ts";

/** Of all callers at all targets. */
export const ALL_PLACES = "all";

export interface PlaceKeys {
  /** Of the target, of all callers: its authority. */
  readonly ofTarget: string;
  /** Of the caller at the target. */
  readonly ofBoth: string;
  /** Of the caller, at all targets. */
  readonly ofCaller: string;
  /** These, and {@link ALL_PLACES}. */
  readonly all: readonly string[];
}

/** By caller, runner and target. */
const known = new Map<string, Map<string, Map<string, PlaceKeys>>>();
let count = 0;

export function placeKeys(caller: string, destination: Destination): PlaceKeys {
  return known.get(caller)?.get(destination.runner)?.get(destination.target) ?? join(caller, destination);
}

function join(caller: string, destination: Destination): PlaceKeys {
  if (count >= MAX_PLACE_KEYS) {
    known.clear();
    count = 0;
  }
  count += 1;
  const { runner, target } = destination;
  const ofTarget = formatAuthority(destination);
  const ofBoth = `${ofTarget} ${caller}`;
  const ofCaller = `caller ${caller}`;
  const keys: PlaceKeys = { ofTarget, ofBoth, ofCaller, all: [ofTarget, ofBoth, ofCaller, ALL_PLACES] };
  const runners = known.get(caller) ?? new Map<string, Map<string, PlaceKeys>>();
  const targets = runners.get(runner) ?? new Map<string, PlaceKeys>();
  known.set(caller, runners.set(runner, targets.set(target, keys)));
  return keys;
}
