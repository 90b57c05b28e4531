/** Acts of administrators, in memory and in the log: who did what, when, from where. Bounded for each credential and in total. */
import type { Logger } from "../../wire/log.ts";
import { BoundedLists, listIn } from "../records/bounded-lists.ts";
import type { BoundedList, Kept } from "../records/bounded-lists.ts";
import { AUDIT_ENTRIES_PER_CREDENTIAL, MAX_AUDIT_ENTRIES, MAX_AUDIT_TEXT_LENGTH } from "./limits.ts";

export interface AuditActor {
  /** Id of the credential. */
  credential: string;
  owner?: string | undefined;
  /** Address of the client. */
  client: string;
}

export interface AuditEntry extends AuditActor {
  readonly atMs: number;
  /** `token-issued`, `runner-kicked`, … */
  readonly action: string;
  /** Id of what it was done to. */
  readonly subject: string;
  readonly details: Readonly<Record<string, string>>;
}

export class AuditTrail {
  readonly #log: Logger;
  readonly #all = new BoundedLists<AuditEntry>({ size: MAX_AUDIT_ENTRIES });
  readonly #credentials = new Map<string, BoundedList<AuditEntry>>();

  constructor(log: Logger) {
    this.#log = log;
  }

  get latest(): number {
    return this.#all.latest;
  }

  /** The latest first. */
  [Symbol.iterator](): Generator<Kept<AuditEntry>> {
    return this.#all[Symbol.iterator]();
  }

  add(
    { credential, owner, client }: AuditActor,
    act: { action: string; subject: string; details?: Readonly<Record<string, string>> },
  ): void {
    const { action, subject, details = {} } = act;
    const bounded = Object.entries(details).map(([name, value]) => [
      name,
      value.slice(0, MAX_AUDIT_TEXT_LENGTH),
    ]);
    const entry: AuditEntry = {
      atMs: Date.now(),
      credential,
      owner,
      client,
      action,
      subject: subject.slice(0, MAX_AUDIT_TEXT_LENGTH),
      details: Object.fromEntries(bounded) as Record<string, string>,
    };
    this.#all.add(listIn(this.#credentials, credential, AUDIT_ENTRIES_PER_CREDENTIAL), entry);
    this.#log.info(
      { audit: action, subject: entry.subject, credential, owner, client, ...entry.details },
      "audit",
    );
  }
}
