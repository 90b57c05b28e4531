/**
 * What the agents of one credential may cost the control plane: changes that they report, connections that do not last,
 * lines in the log. Agents of another credential are not affected by one that has used up its own.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import { LimitedLog } from "../../wire/limited-log.ts";
import type { Logger } from "../../wire/log.ts";
import { TokenBucket } from "../../wire/token-bucket.ts";
import {
  AGENT_LINES_PER_MINUTE,
  CONNECTIONS_PER_CREDENTIAL,
  CREDENTIAL_CHANGES_BURST,
  CREDENTIAL_CHANGES_PER_S,
  CREDENTIAL_CHECKS_BURST,
  CREDENTIAL_CHECKS_PER_S,
  CREDENTIAL_EVENT_BYTES_BURST,
  CREDENTIAL_EVENT_BYTES_PER_S,
  CREDENTIAL_SHORT_CONNECTIONS_BURST,
  CREDENTIAL_SHORT_CONNECTIONS_PER_S,
  MAX_ADMISSIONS_PER_CREDENTIAL,
  RUNNER_SHORT_CONNECTIONS_BURST,
  RUNNER_SHORT_CONNECTIONS_PER_S,
  SHORT_CONNECTION_MS,
} from "../limits.ts";

/** After so many new entries, those without a debt are forgotten. */
const SWEEP_EVERY = 256;

/** Of one credential. */
export class AgentBudget {
  readonly credential: string;
  /** Changes from `/events` that are applied. */
  readonly changes: TokenBucket = new TokenBucket({
    burst: CREDENTIAL_CHANGES_BURST,
    perS: CREDENTIAL_CHANGES_PER_S,
  });
  /** Bytes that are read from `/events`. */
  readonly eventBytes: TokenBucket = new TokenBucket({
    burst: CREDENTIAL_EVENT_BYTES_BURST,
    perS: CREDENTIAL_EVENT_BYTES_PER_S,
  });
  /** Connections that only check the way: they cost its agents nothing. */
  readonly checks: TokenBucket = new TokenBucket({
    burst: CREDENTIAL_CHECKS_BURST,
    perS: CREDENTIAL_CHECKS_PER_S,
  });
  readonly log: LimitedLog;
  /** A connection of it is being registered: one line, later, names all of its runners. */
  isEnrolling = false;
  readonly #short = new TokenBucket({
    burst: CREDENTIAL_SHORT_CONNECTIONS_BURST,
    perS: CREDENTIAL_SHORT_CONNECTIONS_PER_S,
  });
  /** By runner: one agent that comes and goes does not keep out others with its credential. */
  readonly #shortByRunner = new Map<string, TokenBucket>();
  #added = 0;
  #admissions = 0;
  #connections = 0;

  constructor(credential: string, log: Logger) {
    this.credential = credential;
    this.log = new LimitedLog(log, AGENT_LINES_PER_MINUTE);
  }

  /**
   * Whether an agent may connect now.
   *
   * @throws TurnaboutError `rate_limited` if too many of its connections have ended soon, `overloaded` if too many are
   * being admitted
   */
  checkConnect(runnerId: string): void {
    const waitMs = Math.max(this.#short.waitMs(), this.#shortByRunner.get(runnerId)?.waitMs() ?? 0);
    if (waitMs > 0) {
      throw new TurnaboutError(
        "rate_limited",
        `agent endpoint: connections of ${this.credential} for ${runnerId} ended too soon, too often`,
        { retryAfterS: Math.ceil(waitMs / 1_000) },
      );
    }
    this.#checkConnections();
    if (this.#admissions >= MAX_ADMISSIONS_PER_CREDENTIAL) {
      const message = `agent endpoint: more than ${MAX_ADMISSIONS_PER_CREDENTIAL} agents of ${this.credential} are connecting`;
      throw new TurnaboutError("overloaded", message);
    }
  }

  /**
   * A connection is registered.
   *
   * @returns to be called when it has closed
   * @throws TurnaboutError `overloaded` if there are too many
   */
  connected(): () => void {
    this.#checkConnections();
    this.#connections += 1;
    return once(() => (this.#connections -= 1));
  }

  /** An agent is being admitted. @returns to be called when it is admitted or refused */
  admitting(): () => void {
    this.#admissions += 1;
    return once(() => (this.#admissions -= 1));
  }

  /** A connection has ended by the agent's doing. One that has lasted costs nothing. */
  connectionEnded(runnerId: string, { livedMs, runners }: { livedMs: number; runners: number }): void {
    if (livedMs < SHORT_CONNECTION_MS) this.#spend(runnerId, 1 + runners / RUNNERS_PER_CONNECTION_COST);
  }

  notAdmitted(runnerId: string, reason: Error): void {
    const isMalformed = reason instanceof TurnaboutError && MALFORMED.has(reason.code);
    this.#spend(runnerId, isMalformed ? MALFORMED_HELLO_COST : 1);
  }

  #checkConnections(): void {
    if (this.#connections < CONNECTIONS_PER_CREDENTIAL) return;
    const message = `agents of ${this.credential} have ${CONNECTIONS_PER_CREDENTIAL} connections already`;
    throw new TurnaboutError("overloaded", message);
  }

  #spend(runnerId: string, cost: number): void {
    this.#short.spend(cost);
    this.#bucketOf(runnerId).spend(cost);
  }

  /** It need not be kept: a new one would be the same. */
  get isIdle(): boolean {
    return (
      this.#admissions === 0 &&
      this.#connections === 0 &&
      this.changes.isFull &&
      this.eventBytes.isFull &&
      this.checks.isFull &&
      this.#short.isFull &&
      this.log.isIdle
    );
  }

  #bucketOf(runnerId: string): TokenBucket {
    const known = this.#shortByRunner.get(runnerId);
    if (known !== undefined) return known;
    this.#added += 1;
    if (this.#added % SWEEP_EVERY === 0) {
      for (const [id, bucket] of this.#shortByRunner) if (bucket.isFull) this.#shortByRunner.delete(id);
    }
    const created = new TokenBucket({
      burst: RUNNER_SHORT_CONNECTIONS_BURST,
      perS: RUNNER_SHORT_CONNECTIONS_PER_S,
    });
    this.#shortByRunner.set(runnerId, created);
    return created;
  }
}

function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) work();
    isDone = true;
  };
}

/** So many runners make a short connection twice as expensive: each is an event when it comes and when it goes. */
const RUNNERS_PER_CONNECTION_COST = 8;
/** Short connections that an agent costs whose `/hello` is not valid: it may have been 2 MiB of JSON. */
const MALFORMED_HELLO_COST = 16;
const MALFORMED: ReadonlySet<string> = new Set(["tunnel_protocol", "bad_request"]);

export class AgentBudgets {
  readonly #budgets = new Map<string, AgentBudget>();
  readonly #log: Logger;
  #added = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @param credential id of the credential */
  of(credential: string): AgentBudget {
    const known = this.#budgets.get(credential);
    if (known !== undefined) return known;
    this.#added += 1;
    if (this.#added % SWEEP_EVERY === 0) {
      for (const [id, budget] of this.#budgets) if (budget.isIdle) this.#budgets.delete(id);
    }
    const created = new AgentBudget(credential, this.#log);
    this.#budgets.set(credential, created);
    return created;
  }
}
