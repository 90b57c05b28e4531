import type { Random } from "./random.ts";

/** Bytes changed, left out, put in and doubled. */
export function mutated(random: Random, text: string): string {
  let changed = text;
  for (let n = random.int(5); n > 0; n -= 1) {
    const at = random.int(changed.length + 1);
    const [before, after] = [changed.slice(0, at), changed.slice(at)];
    switch (random.int(4)) {
      case 0:
        changed = before + random.bytes(1) + after.slice(1);
        break;
      case 1:
        changed = before + after.slice(1 + random.int(20));
        break;
      case 2:
        changed = before + random.bytes(random.int(20)) + after;
        break;
      default:
        changed = before + changed.slice(0, random.int(200)) + after;
    }
  }
  return changed;
}
