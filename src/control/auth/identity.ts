/**
 * The identity of a caller or an agent, and what it may do. A request is authenticated once, and the resulting object
 * authorizes everything else. Whatever no method here allows is denied.
 */
import { MAX_RUNNER_ID_LENGTH, MAX_TARGET_NAME_LENGTH } from "../../wire/limits.ts";

export type IdentityKind = "admin" | "user" | "runner";

export interface Identity {
  /** Stable name of the credential: a reconnect with the same one may replace an older connection. */
  readonly id: string;
  readonly kind: IdentityKind;
  /** Hash of the token or fingerprint of the certificate: it is revoked once the store no longer has it. */
  readonly fingerprint: string;
  mayRegister(runnerId: string): boolean;
  mayDial(runnerId: string, target: string): boolean;
  /** May list all runners, kick them and read metrics. */
  readonly mayAdminister: boolean;
  /** User to whom it belongs; only for kind `user`. */
  readonly owner: string | undefined;
  /** The sign-in by which it comes, if it does: not its id, which is a secret, but the hash of it. */
  readonly signIn?: string | undefined;
  /** The grant from which all of this is derived. */
  readonly grant: Grant;
  /** The node of the cluster that has authenticated it; undefined for this one. */
  readonly node?: string | undefined;
}

/**
 * Targets that only admins may dial, regardless of a credential's patterns: access to a Docker Engine is root on its
 * host.
 */
export const ADMIN_TARGETS: ReadonlySet<string> = new Set(["docker"]);

/** `*` matches any run of characters; all else is literal. Not a RegExp, to avoid exponential backtracking on `*`. */
export function matchesPattern(pattern: string, value: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return pattern === value;
  if (value.length < first.length + last.length || !value.startsWith(first) || !value.endsWith(last))
    return false;
  const end = value.length - last.length;
  let at = first.length;
  // The earliest match of each part leaves the most room for the next.
  for (const part of rest) {
    const found = value.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** Whether any name could match: names have a-z, 0-9, `_` and `-`, and a length. */
function canMatch(pattern: string, maxLength: number): boolean {
  return /^[a-z0-9_*-]+$/.test(pattern) && pattern.replaceAll("*", "").length <= maxLength;
}

export function canMatchRunner(pattern: string): boolean {
  return canMatch(pattern, MAX_RUNNER_ID_LENGTH);
}

export function canMatchTarget(pattern: string): boolean {
  return canMatch(pattern, MAX_TARGET_NAME_LENGTH);
}

export interface Grant {
  kind: IdentityKind;
  /** Patterns of runner ids: those that a `runner` may register, or those that a `user` may dial. */
  runners: readonly string[];
  /** Patterns of target names that a `user` may dial. Default: all targets of those runners. */
  targets?: readonly string[] | undefined;
  owner?: string | undefined;
}

export function createIdentity(id: string, fingerprint: string, grant: Grant): Identity {
  const isAdmin = grant.kind === "admin";
  const has = (runnerId: string) => grant.runners.some((pattern) => matchesPattern(pattern, runnerId));
  return {
    id,
    kind: grant.kind,
    fingerprint,
    grant,
    mayAdminister: isAdmin,
    owner: grant.kind === "user" ? (grant.owner ?? id) : undefined,
    mayRegister: (runnerId) => isAdmin || (grant.kind === "runner" && has(runnerId)),
    mayDial: (runnerId, target) =>
      isAdmin ||
      (grant.kind === "user" &&
        !ADMIN_TARGETS.has(target) &&
        has(runnerId) &&
        (grant.targets ?? ["*"]).some((pattern) => matchesPattern(pattern, target))),
  };
}

/** Whether a credential allows less than before. What it has opened is then closed, as if it were revoked. */
export function isNarrowed({ grant: now }: Identity, { grant: before }: Identity): boolean {
  if (now.kind === "admin") return false;
  const hasAll = (patterns: readonly string[]): boolean =>
    patterns.every((pattern) => now.runners.includes(pattern));
  const targets = now.targets;
  const keepsTargets =
    targets === undefined ||
    (before.targets !== undefined && before.targets.every((pattern) => targets.includes(pattern)));
  return now.kind !== before.kind || now.owner !== before.owner || !hasAll(before.runners) || !keepsTargets;
}
