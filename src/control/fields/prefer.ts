/** RFC 7240 `Prefer`: `wait` is for us, all other preferences are for the target. */
import type { IncomingHttpHeaders } from "node:http";
import { listMembers } from "../../wire/fields/http-fields.ts";

export interface PreferredWait {
  readonly waitMs: number;
  /** Only for a runner that has connected before: `wait=30; known`. */
  readonly onlyKnown: boolean;
}

/** Most requests have none. */
const NO_WAIT: PreferredWait = { waitMs: 0, onlyKnown: false };

/** How long the caller will wait for the runner. The first `wait` counts (RFC 7240 §2). */
export function preferredWait(headers: IncomingHttpHeaders): PreferredWait {
  const { prefer } = headers;
  if (prefer === undefined) return NO_WAIT;
  const [wait = ""] = preferences(prefer).filter(isWait);
  const [, seconds = 0, parameters = ""] = /^[^=]*=\s*"?(\d{1,5})"?\s*(;.*)?$/s.exec(wait) ?? [];
  return { waitMs: Number(seconds) * 1_000, onlyKnown: /;\s*known\s*(?:;|$)/i.test(parameters) };
}

export function preferredWaitMs(headers: IncomingHttpHeaders): number {
  return preferredWait(headers).waitMs;
}

/** The field without `wait`, other preferences unchanged; undefined if there are none. */
export function withoutWait(value: string | string[] | undefined): string | undefined {
  const kept = preferences(value).filter((preference) => !isWait(preference));
  return kept.length === 0 ? undefined : kept.join(", ");
}

function isWait(preference: string): boolean {
  return /^wait\s*(?:[=;]|$)/i.test(preference);
}

function preferences(value: string | string[] | undefined): string[] {
  return listMembers(Array.isArray(value) ? value.join(",") : (value ?? ""));
}
