/** Counts credentials that were refused, by reason. */

/**
 * - `missing`: there was none
 * - `unknown`, `expired`, `revoked`: a token
 * - `certificate`: a client certificate, without a token beside it
 * - `origin`: a cookie that the page of another origin has sent
 * - `not-allowed`: a good credential that may not do this
 */
export type CredentialRefusal =
  | "missing"
  | "unknown"
  | "expired"
  | "revoked"
  | "certificate"
  | "origin"
  | "not-allowed";

export class RefusedCredentials {
  readonly counts: Record<CredentialRefusal, number> = {
    missing: 0,
    unknown: 0,
    expired: 0,
    revoked: 0,
    certificate: 0,
    origin: 0,
    "not-allowed": 0,
  };

  add(reason: CredentialRefusal): void {
    this.counts[reason] += 1;
  }
}
