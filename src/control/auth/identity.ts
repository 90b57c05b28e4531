/**
 * Who is asking, and what that identity may do. The same object routes and authorises: there is no second look at the
 * request. Everything is denied unless a method here says otherwise.
 */
export type IdentityKind = "admin" | "user" | "runner";

export interface Identity {
  /** Stable name of the credential: a reconnect with the same one may replace an older connection. */
  readonly id: string;
  readonly kind: IdentityKind;
  /** What exactly was presented (a token's hash, a certificate's fingerprint): gone from the store means revoked. */
  readonly fingerprint: string;
  mayRegister(runnerId: string): boolean;
  mayDial(runnerId: string, target: string): boolean;
  /** List all runners, kick, read metrics. */
  readonly mayAdminister: boolean;
  /** The user whose sessions it owns; only of kind `user`. */
  readonly owner: string | undefined;
}

/** `*` stands for any run of characters; everything else is literal. */
export function matchesPattern(pattern: string, value: string): boolean {
  if (!pattern.includes("*")) return pattern === value;
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(value);
}

export interface Grant {
  kind: IdentityKind;
  /** Runner ids, as patterns: those that a `runner` may register, those that a `user` may dial. */
  runners: readonly string[];
  /** Target names that a `user` may dial, as patterns. Default: all of the runner's. */
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
    mayAdminister: isAdmin,
    owner: grant.kind === "user" ? (grant.owner ?? id) : undefined,
    mayRegister: (runnerId) => isAdmin || (grant.kind === "runner" && has(runnerId)),
    mayDial: (runnerId, target) =>
      isAdmin ||
      (grant.kind === "user" &&
        has(runnerId) &&
        (grant.targets ?? ["*"]).some((pattern) => matchesPattern(pattern, target))),
  };
}
