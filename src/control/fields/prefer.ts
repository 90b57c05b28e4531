/** RFC 7240 `Prefer`: `wait` is for us, all other preferences are for the target. */
import type { IncomingHttpHeaders } from "node:http";
import { listMembers } from "../../wire/fields/http-fields.ts";

/** How long the caller will wait for the runner. The first `wait` counts (RFC 7240 §2). */
export function preferredWaitMs(headers: IncomingHttpHeaders): number {
  const [wait] = preferences(headers["prefer"]).filter(isWait);
  const seconds = /^[^=]*=\s*"?(\d{1,5})"?\s*(?:;.*)?$/s.exec(wait ?? "")?.[1];
  return seconds === undefined ? 0 : Number(seconds) * 1_000;
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
