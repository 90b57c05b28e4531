/** What all checks of one run share. */
import type { CarrierChoice } from "../carriers/auto.ts";
import type { Secret, TlsFiles } from "../transport/credentials.ts";
import type { Runner } from "../targets/targets.ts";
import type { Findings } from "./finding.ts";

/** Of a name: all its addresses. */
export type Lookup = (host: string) => Promise<{ address: string; family: number }[]>;

/** Of an agent. */
export interface CheckOptions extends TlsFiles {
  server: string;
  runners: readonly Runner[];
  token?: Secret | undefined;
  carrier?: CarrierChoice | undefined;
  docker?: string | undefined;
  listen?: readonly string[] | undefined;
}

export interface CheckContext {
  readonly options: CheckOptions;
  /** Of the agent endpoint, with the runners. */
  readonly url: URL;
  readonly zone: string | undefined;
  /** Of a relay, in place of the URL's host. */
  readonly socketPath: string | undefined;
  readonly findings: Findings;
  /** Aborted when the run ends. */
  readonly signal: AbortSignal;
  /** No step takes longer, in milliseconds, whatever its own limit is. */
  readonly maxStepMs: number;
  readonly lookup: Lookup;
  /** Unix milliseconds by this machine's clock. */
  readonly now: () => number;
}

/** The runners as the agent names them in its request. */
export function runnerIds({ runners }: Pick<CheckOptions, "runners">): string[] {
  return runners.map(({ id }) => id);
}
