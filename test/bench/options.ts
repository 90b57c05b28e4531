/** Command line of the benchmark. */
import { parseArgs } from "node:util";
import { measureAccessLog } from "./sections/access-log.ts";
import { measureBulk, measureDelayedBulk } from "./sections/bulk.ts";
import { measureMemory, measureStorm } from "./sections/crowd.ts";
import { measureDial } from "./sections/dial.ts";
import { measureFairness } from "./sections/fairness.ts";
import { measureFlooded, measureFloodedCrowd } from "./sections/flooded.ts";
import { measureForward } from "./sections/forward.ts";
import { measureIdleAgent } from "./sections/idle-agent.ts";
import { measureL4 } from "./sections/l4.ts";
import { measureL7 } from "./sections/l7.ts";
import { measureRevdial } from "./sections/revdial.ts";
import { measureScreenshots } from "./sections/screenshot.ts";
import type { Section } from "./sections/section.ts";

const SECTIONS: Readonly<Record<string, Section>> = {
  l4: measureL4,
  l7: measureL7,
  bulk: measureBulk,
  delay: measureDelayedBulk,
  "access-log": measureAccessLog,
  dial: measureDial,
  forward: measureForward,
  fairness: measureFairness,
  flooded: measureFlooded,
  "flooded-crowd": measureFloodedCrowd,
  memory: measureMemory,
  storm: measureStorm,
  idle: measureIdleAgent,
  screenshot: measureScreenshots,
  revdial: measureRevdial,
};

/** Run only by name: they take minutes, or are about defence or another protocol rather than speed. */
const BY_NAME_ONLY: readonly string[] = ["access-log", "flooded", "flooded-crowd", "revdial"];

export const USAGE: string = `usage: npm run bench -- [--only SECTION,…] [--rows TEXT] [--quick] [--json PATH] [--compare PATH]
sections: ${Object.keys(SECTIONS).join(", ")}`;

export interface BenchOptions {
  sections: [string, Section][];
  json: string;
  /** JSON of a former run, for a comparison. */
  compare: string | undefined;
  /** Of the floods, those whose name contains this text. */
  rows: string;
  durations: { pairs: number; runMs: number; warmUpMs: number; scale: number };
}

/** @throws Error with what is wrong */
export function parseOptions(args: string[]): BenchOptions {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string" },
      rows: { type: "string", default: "" },
      quick: { type: "boolean", default: false },
      json: { type: "string", default: "bench-results/latest.json" },
      compare: { type: "string" },
    },
  });
  const names =
    values.only?.split(",").map((name) => name.trim()) ??
    Object.keys(SECTIONS).filter((name) => !BY_NAME_ONLY.includes(name));
  return {
    json: values.json,
    compare: values.compare,
    rows: values.rows,
    sections: names.map((name) => {
      const section = SECTIONS[name];
      if (section === undefined) throw new Error(`no section ${JSON.stringify(name)}\n${USAGE}`);
      return [name, section];
    }),
    durations: values.quick
      ? { pairs: 2, runMs: 500, warmUpMs: 300, scale: 0.1 }
      : { pairs: 5, runMs: 2_000, warmUpMs: 1_000, scale: 1 },
  };
}
