/** What a request's line means: how it ended, and what its time went into. */
import type { RequestLine } from "../api/types.ts";
import type { Tone } from "../parts/tone.ts";

export function toneOf({ status, code }: RequestLine): Tone {
  if (code !== undefined && code !== "ok") return code === "aborted" ? "warn" : "bad";
  if (status === undefined) return "idle";
  if (status >= 500) return "bad";
  return status >= 400 ? "warn" : "ok";
}

/** From Turnabout, and not from the target. */
export function hasFailed({ code }: RequestLine): boolean {
  return code !== undefined && code !== "ok";
}

export const PARTS = ["queue", "dial", "target", "content", "rest"] as const;
export type PartName = (typeof PARTS)[number];

export interface TimePart {
  name: PartName;
  ms: number;
}

export const PART_TEXTS: Readonly<Record<PartName, string>> = {
  queue: "waited for a connection of the runner",
  dial: "its agent connected to the target",
  target: "the target worked until its first byte",
  content: "content passed",
  rest: "until it failed",
};

/** In their order; together they are the total. What is not known is left out. */
export function timeParts({ queueMs, dialMs, firstByteMs, totalMs = 0 }: RequestLine): TimePart[] {
  const queue = queueMs ?? 0;
  const dial = dialMs ?? 0;
  const before = Math.min(queue + dial, totalMs);
  const first = firstByteMs === undefined ? undefined : Math.min(Math.max(firstByteMs, before), totalMs);
  const parts: TimePart[] = [];
  if (queueMs !== undefined) parts.push({ name: "queue", ms: Math.min(queue, totalMs) });
  if (dialMs !== undefined) parts.push({ name: "dial", ms: Math.max(0, before - Math.min(queue, totalMs)) });
  if (first === undefined)
    return totalMs > before ? [...parts, { name: "rest", ms: totalMs - before }] : parts;
  parts.push({ name: "target", ms: first - before }, { name: "content", ms: totalMs - first });
  return parts;
}

const WAYS: Readonly<Record<string, string>> = {
  route: "API route",
  "forward-proxy": "forward proxy",
  connect: "CONNECT tunnel",
  websocket: "WebSocket",
  dial: "dial",
  api: "API",
};

export function wayText(way: string): string {
  return WAYS[way] ?? way;
}

/** The route's prefix says the same as runner and target. */
export function shortPath({ path, way, runner, target }: RequestLine): string {
  if (path === undefined) return way === "connect" || way === "dial" ? "" : "–";
  const prefix = `/runners/${runner}/targets/${target}`;
  const at = path.indexOf(prefix);
  return at < 0 ? path : path.slice(at + prefix.length) || "/";
}

const PHASES: Readonly<Record<string, string>> = {
  runner: "before a connection of the runner was found",
  connect: "while its agent connected to the target",
  response: "while the target was to respond",
  content: "while content passed",
};

export function phaseText(phase: string): string {
  return PHASES[phase] ?? phase;
}
