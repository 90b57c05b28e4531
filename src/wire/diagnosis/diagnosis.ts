/** What both ends say of themselves in the same way: figures of the process, options, state, recent log lines, and no secrets. */
import { oneAtATime, processFigures } from "./process-figures.ts";
import type { RecentLine } from "./recent-log.ts";
import { scrubJson } from "./scrub.ts";

export interface Described {
  configuration: object;
  state: object;
  log: readonly RecentLine[];
}

export interface DiagnosisSource<Own extends Described> {
  describe(): Own | Promise<Own>;
  /** Values that must not be in it, whatever surrounds them. */
  secrets(): readonly string[] | Promise<readonly string[]>;
}

/** Collected one at a time. */
export function diagnosisOf<Own extends Described>(
  source: DiagnosisSource<Own>,
): () => Promise<Own & { process: object }> {
  return oneAtATime(async () => {
    const diagnosis = { process: await processFigures(), ...(await source.describe()) };
    return scrubJson(diagnosis, await source.secrets()) as Own & { process: object };
  });
}

/** Options that are no secrets. One that is added later is in here only when someone has thought about it. */
export function shown<Options extends object>(
  options: Options,
  names: readonly (keyof Options & string)[],
): object {
  return Object.fromEntries(names.map((name) => [name, options[name]]));
}
