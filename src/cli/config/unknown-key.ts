/** The key that an unknown one in a configuration file was probably meant to be, and where that belongs. */
import { nearestOf } from "./nearest.ts";
import { keyOfFlag, KEYS, placeOfPath } from "./schema.ts";
import type { KeyPlace } from "./schema.ts";

const REFERENCE_HINT = "docs/configuration.md has every key";
/** Lists of more keys than this are looked up. */
const MAX_LISTED_KEYS = 8;

const WHERE: Readonly<Record<KeyPlace, string>> = {
  top: "at the top of the file, not indented",
  serve: "below `serve:`, indented",
  agent: "below `agent:`, indented",
  target: "into an entry of `targets:`, indented",
  runner: "into an entry of `runners:`, indented",
};

interface Candidate {
  place: KeyPlace;
  key: string;
  distance: number;
}

/** @param isGroup its value has keys of its own, as a section's */
export function hintForUnknownKey(path: readonly PropertyKey[], key: string, isGroup: boolean): string {
  const here = placeOfPath(path);
  const candidates = (Object.keys(KEYS) as KeyPlace[])
    .flatMap((place) => candidateIn(place, key, isGroup) ?? [])
    .filter((candidate) => candidate.place === here || reaches(here, candidate));
  const best = Math.min(...candidates.map(({ distance }) => distance));
  const nearest = candidates.filter(({ distance }) => distance === best);
  const own = nearest.find(({ place }) => place === here);
  if (own !== undefined) return meantHint(own.key);
  const [first] = nearest;
  if (first === undefined) {
    const known = KEYS[here];
    return known.length > MAX_LISTED_KEYS ? REFERENCE_HINT : `use ${known.join(", ")}`;
  }
  const places = nearest.filter((candidate) => candidate.key === first.key).map(({ place }) => WHERE[place]);
  const put = `put it ${places.join(" or ").replaceAll(", indented or below", " or")}`;
  return first.key === key ? put : `${meantHint(first.key)} ${put}`;
}

export function meantHint(key: string): string {
  return `did you mean ${key}?`;
}

function candidateIn(place: KeyPlace, key: string, isGroup: boolean): Candidate | undefined {
  const flag = keyOfFlag(place, key);
  if (flag !== undefined) return { place, key: flag, distance: 0 };
  const known = place === "top" && !isGroup ? KEYS.top.filter((name) => name === "version") : KEYS[place];
  const near = nearestOf(key, known);
  return near === undefined ? undefined : { place, key: near.name, distance: near.distance };
}

/** Elsewhere only the same name is meant, in any spelling, except at the top, where all others are indented. */
function reaches(here: KeyPlace, { place, distance }: Candidate): boolean {
  if (here === "top") return true;
  return distance === 0 && (here === "agent" || (place !== "target" && place !== "runner"));
}
