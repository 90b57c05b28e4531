/** `Proxy-Status` (RFC 9209): why a hop responded in place of the target. `details` carries our code. */
import { ERROR_TABLE, isErrorCode } from "../error-table.ts";
import type { ErrorCode } from "../error-table.ts";
import type { CodedError } from "../errors.ts";
import { listMembers } from "./http-fields.ts";
import { PROXY_NAME } from "../protocol.ts";

/** @example formatProxyStatus("target_refused") // turnabout; error=connection_refused; details="target_refused" */
export function formatProxyStatus(code: ErrorCode, name: string = PROXY_NAME): string {
  return member(name, code, ERROR_TABLE[code].proxyError);
}

/** The same for an error of any layer. */
export function proxyStatusOf({ code, proxyError }: CodedError, name: string = PROXY_NAME): string {
  return member(name, code, proxyError);
}

function member(name: string, code: string, proxyError: string): string {
  return `${name}; error=${proxyError}; details="${code}"`;
}

/** Ours have at most 90 characters. */
const MAX_MEMBER_LENGTH = 1_024;

type FieldValue = string | string[] | undefined;

/** Whether a member is in our name: Turnabout has responded in place of the target. */
export function hasOwnProxyStatus(value: FieldValue): boolean {
  return members(value).some(isOwn);
}

/** The code in the last member in our name (of the hop nearest to us), if this version knows it. */
export function parseProxyStatus(value: FieldValue): ErrorCode | undefined {
  const own = members(value).findLast(isOwn) ?? "";
  if (own.length > MAX_MEMBER_LENGTH) return undefined;
  const found = [...own.matchAll(/;[\t ]*details="([a-z_]+)"/g)].at(-1)?.[1];
  return found !== undefined && isErrorCode(found) ? found : undefined;
}

/** A target's field without members in our name; undefined if none is left. Without such members it is unchanged. */
export function foreignProxyStatus(value: string | string[]): FieldValue {
  const all = members(value);
  const foreign = all.filter((member) => !isOwn(member));
  if (foreign.length === all.length) return value;
  return foreign.length === 0 ? undefined : foreign.join(", ");
}

function members(value: FieldValue): string[] {
  return listMembers((Array.isArray(value) ? value.join(", ") : value) ?? "");
}

/** The name is a token or a string (RFC 9209 §2). A relay's begins with ours. */
function isOwn(member: string): boolean {
  const end = member.search(/[;=]/);
  const name = (end < 0 ? member : member.slice(0, end)).replaceAll('"', "").trim().toLowerCase();
  return name === PROXY_NAME || name.startsWith(`${PROXY_NAME}-`);
}
