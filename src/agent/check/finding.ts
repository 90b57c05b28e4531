/** What a check has found: its state, what was seen, and what to do about it. */
import { MAX_SEEN_LENGTH } from "./limits.ts";

/** `skipped`: not checked, because something else has to work first, or because it does not apply. */
export type FindingState = "ok" | "warning" | "failed" | "skipped";

/** The checks, in the order in which a table has them. */
export const CHECKS = [
  "token file",
  "CA file",
  "client certificate",
  "name",
  "tcp",
  "proxy",
  "tls",
  "endpoint",
  "clock",
  "carrier",
  "token",
  "target",
  "docker",
  "relay",
] as const;
export type CheckName = (typeof CHECKS)[number];

export interface Finding {
  check: CheckName;
  /** What was checked: an address, a carrier, a target. Empty where there is only one. */
  subject: string;
  state: FindingState;
  seen: string;
  /** Undefined where nothing is to be done. */
  remedy?: string | undefined;
  /** How long it took. */
  ms?: number | undefined;
}

/** A shorter text is no secret, and occurs in words. */
const MIN_SECRET_LENGTH = 4;

/** OpenSSL's own lines, of which only the reason tells something. */
const OPENSSL = /[0-9A-F]{8,}:error:[0-9A-F]+:SSL routines:[^:]*:([^:]+):[^ ]*(?: alert number \d+)?/;

/** All findings of a run, without secrets: whatever a peer has sent back may contain them. */
export class Findings {
  readonly #findings: Finding[] = [];
  readonly #secrets: string[] = [];

  /** It is in no finding from now on. */
  addSecret(secret: string): void {
    if (secret.length >= MIN_SECRET_LENGTH) this.#secrets.push(secret);
  }

  add(finding: Finding): void {
    const { seen, remedy } = finding;
    this.#findings.push({
      ...finding,
      subject: this.#clean(finding.subject),
      seen: this.#clean(seen),
      ...(remedy !== undefined && { remedy: this.#clean(remedy) }),
      ...(finding.ms !== undefined && { ms: Math.round(finding.ms * 10) / 10 }),
    });
  }

  ok(check: CheckName, subject: string, seen: string, ms?: number): void {
    this.add({ check, subject, state: "ok", seen, ms });
  }

  warn(check: CheckName, subject: string, seen: string, remedy: string): void {
    this.add({ check, subject, state: "warning", seen, remedy });
  }

  fail(check: CheckName, subject: string, seen: string, remedy: string): void {
    this.add({ check, subject, state: "failed", seen, remedy });
  }

  skip(check: CheckName, subject: string, seen: string): void {
    this.add({ check, subject, state: "skipped", seen });
  }

  has(check: CheckName, state: FindingState): boolean {
    return this.#findings.some((finding) => finding.check === check && finding.state === state);
  }

  /** In the order of {@link CHECKS}. */
  all(): Finding[] {
    const place = ({ check }: Finding): number => CHECKS.indexOf(check);
    return this.#findings.toSorted((a, b) => place(a) - place(b));
  }

  /** One line of limited length, without control characters. */
  #clean(text: string): string {
    let clean = text;
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, "[redacted]");
    clean = clean
      .replace(OPENSSL, "$1")
      .replaceAll(/\s+/g, " ")
      .replaceAll(/[\p{Cc}\p{Cf}]/gu, "\u{fffd}");
    return clean.length > MAX_SEEN_LENGTH ? `${clean.slice(0, MAX_SEEN_LENGTH)}…` : clean;
  }
}
