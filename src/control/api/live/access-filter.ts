/** Which lines of the access log a reader gets. */
import type { Identity } from "../../auth/identity.ts";
import { matchesPattern } from "../../auth/identity.ts";
import { MAX_STATUS_FILTERS } from "./limits.ts";
import type { RequestRecord } from "../../records/request-record.ts";

export interface AccessQuery {
  /** `*` matches any characters, here and in the next two. */
  runner?: string | undefined;
  target?: string | undefined;
  credential?: string | undefined;
  /** Statuses and classes of them: `404,5xx`. */
  status?: string | undefined;
}

export const STATUS_LIST: RegExp = /^[1-5](?:xx|\d\d)(?:,[1-5](?:xx|\d\d))*$/;

/** What {@link AccessQuery.status} may be. */
export function isStatusList(text: string): boolean {
  return STATUS_LIST.test(text) && text.split(",").length <= MAX_STATUS_FILTERS;
}

/** An admin reads every line, anyone else those of the requests that the same user has made. */
export function accessFilter(identity: Identity, query: AccessQuery): (record: RequestRecord) => boolean {
  const { mayAdminister, owner } = identity;
  const statuses = query.status?.split(",");
  return ({ requester, runner, target, status }) =>
    (mayAdminister || (owner !== undefined && requester?.owner === owner)) &&
    isLike(runner, query.runner) &&
    isLike(target, query.target) &&
    isLike(requester?.id, query.credential) &&
    (statuses === undefined || hasStatus(statuses, status));
}

function isLike(value: string | undefined, wanted: string | undefined): boolean {
  return wanted === undefined || (value !== undefined && matchesPattern(wanted, value));
}

function hasStatus(statuses: readonly string[], status: number | undefined): boolean {
  if (status === undefined) return false;
  const text = String(status);
  return statuses.some((wanted) => (wanted.endsWith("xx") ? wanted[0] === text[0] : wanted === text));
}
