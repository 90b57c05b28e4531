/** Honest callers, in a process of their own. */
import { probe } from "../load/probe.ts";
import type { ProbeOptions, ProbeResult } from "../load/probe.ts";
import { serve } from "./serve.ts";

export interface ProbeCalls {
  probe(options: ProbeOptions, durationMs: number): Promise<ProbeResult>;
}

serve({ probe } satisfies ProbeCalls);
