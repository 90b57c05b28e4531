/** The known name that a wrong one was probably meant to be. */

/** Different spellings of one name: `token-file`, `token_file`, `TokenFile`. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** Undefined if none is near: a wrong suggestion is worse than none. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  return nearestOf(name, known)?.name;
}

/** The nearest one, and how far it is: 0 for another spelling. */
export function nearestOf(
  name: string,
  known: readonly string[],
): { name: string; distance: number } | undefined {
  const wanted = plain(name);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known) {
    const distance = distanceOf(wanted, plain(candidate), bestDistance);
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best === undefined ? undefined : { name: best, distance: bestDistance };
}

/** Letters to insert, remove, replace or swap with their neighbour. Infinity where it is `limit` for the length alone. */
function distanceOf(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return Infinity;
  let twoBefore: number[] = [];
  let before = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const isSame = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (before[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (before[j - 1] ?? 0) + (isSame ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (twoBefore[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    twoBefore = before;
    before = row;
  }
  return before[b.length] ?? Infinity;
}
