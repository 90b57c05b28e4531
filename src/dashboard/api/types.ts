/** What the page gets from the API, by the names of its document where they are in it. */
import type { components } from "../../clients/api/types.ts";

type Schemas = components["schemas"];

export type Runner = Schemas["Runner"];
export type Connection = Runner["connections"][number];
export type Target = Runner["targets"][number];
export type Token = Schemas["Token"];
export type NewToken = Schemas["NewToken"];
export type Session = Schemas["Session"];
export type WolfInstance = Schemas["WolfInstance"];

/** Who is signed in. */
export interface Who {
  id: string;
  kind: "admin" | "user" | "runner";
  owner: string | null;
  admin: boolean;
  expiresAt: string | null;
  signIn: { since: string; expiresAt: string; endsAt: string } | null;
  version: string;
}

export interface RunnerEvent {
  time: string;
  type: string;
  connection?: string;
  carrier?: string;
  peer?: string;
  credential?: string;
  restarted?: boolean;
  discovered?: boolean;
  reason?: string;
  lastedMs?: number;
}

/** A line of the access log; those of the list of recent requests have more. */
export interface RequestLine {
  time: string;
  id: string;
  way: string;
  method?: string;
  path?: string;
  status?: number;
  code?: string;
  credential?: string;
  owner?: string;
  client?: string;
  runner?: string;
  target?: string;
  connection?: string;
  traceId?: string;
  bytesIn: number;
  bytesOut: number;
  queueMs?: number;
  dialMs?: number;
  firstByteMs?: number;
  totalMs?: number;
  seq?: number;
  phase?: string;
  reason?: string;
}

export const SERIES = [
  "requests",
  "errors",
  "bytesIn",
  "bytesOut",
  "p50Ms",
  "p90Ms",
  "p99Ms",
  "streams",
  "waitingDials",
  "connects",
  "losses",
  "runners",
  "loopDelayMs",
  "cpu",
  "rssBytes",
  "tunnelBytes",
] as const;

export type SeriesName = (typeof SERIES)[number];

/** Columns of equal length, oldest first. */
export interface Figures {
  stepS: number;
  /** Unix time in seconds: the end of the step. */
  time: number[];
  series: Record<SeriesName, (number | null)[]>;
}

export interface AuditEntry {
  seq: number;
  time: string;
  credential: string;
  owner: string | null;
  client: string;
  action: string;
  subject: string;
  details?: Record<string, string>;
}

/** What a revocation of a token would close. */
export interface Opened {
  streams: number;
  connections: number;
  sign_ins: number;
  runners: string[];
  runner_count: number;
}
