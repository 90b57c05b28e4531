/**
 * This node's lease: a record that it renews by compare-and-set. Whoever ends or takes the lease does so by a write too, so that
 * the order of revisions decides. A renewal that comes back through the watch proves that our copy is fresh.
 *
 *     waiting ──record written──▶ held ──record ended──▶ waiting
 *     taken: there is a record of another process. It is overwritten once that is silent for as long as others would wait.
 */
import {
  CATCH_UP_MS,
  FENCE_MS,
  FRESH_MS,
  HEARTBEAT_MS,
  HEARTBEAT_RETRY_MS,
  MAX_HEARTBEAT_GAP_MS,
  MAX_HEARTBEAT_RETURN_MS,
  MAX_PENDING_HEARTBEATS,
  SUSPECT_MS,
} from "../limits.ts";
import type { Clock } from "./clock.ts";
import { RevisionConflict } from "./key-value.ts";
import type { KeyValue } from "./key-value.ts";
import type { Mirror } from "./mirror.ts";
import { nodeKey, parseNode } from "./records.ts";
import type { NodeRecord } from "./records.ts";

export interface LeaseParts {
  keyValue: KeyValue;
  mirror: Mirror;
  clock: Clock;
  nodeId: string;
  url: string;
  version: string;
  createEpoch: () => string;
  /** Another node may join. */
  hasRoom: () => boolean;
  onHeld: () => void;
  onLost: (state: "waiting" | "taken") => void;
  /** Undefined: the last renewal was acknowledged. */
  onProblem: (error: Error | undefined) => void;
}

export class NodeLease {
  readonly #parts: LeaseParts;
  readonly #key: string;
  #state: "waiting" | "held" | "taken" = "waiting";
  #epoch: string;
  #revision = 0;
  #beat = 0;
  /** When renewals were sent that have not come back yet. */
  readonly #pending = new Map<number, number>();
  /** When the newest acknowledged renewal was sent. */
  #ackedAsOf = -Infinity;
  /** When the newest renewal was sent that has come back through the watch: our copy has all that was written before. */
  #freshAsOf = -Infinity;
  /** Since when renewals have come back without a break. */
  #freshSince = Infinity;
  #nextAttemptAt = -Infinity;
  #writing: Promise<void> | undefined;
  /** The record of another process with this node's id, and since when it has not changed. */
  #other: { revision: number; since: number } | undefined;
  #closed = false;

  constructor(parts: LeaseParts) {
    this.#parts = parts;
    this.#key = nodeKey(parts.nodeId);
    this.#epoch = parts.createEpoch();
  }

  get state(): "waiting" | "held" | "taken" {
    return this.#state;
  }

  /** Of the lease that is held, or of the next one. */
  get epoch(): string {
    return this.#epoch;
  }

  /** This node acts as the holder of its runners: no other node gives its lease up before this is false. */
  get isHolder(): boolean {
    return this.#state === "held" && this.#parts.clock.now() - this.#ackedAsOf < FENCE_MS;
  }

  /** For how long our copy has been proven to be fresh, without a break; 0 if it is not. */
  get freshForMs(): number {
    return this.isFresh ? this.#parts.clock.now() - this.#freshSince : 0;
  }

  get isFresh(): boolean {
    const { clock, mirror } = this.#parts;
    return this.#state === "held" && mirror.isComplete && clock.now() - this.#freshAsOf <= FRESH_MS;
  }

  /** Joins or renews, where that is due. */
  tick(): void {
    if (this.#closed || this.#writing !== undefined) return;
    if (this.#parts.clock.now() < this.#nextAttemptAt) return;
    if (this.#state !== "held") {
      if (!this.#parts.mirror.isComplete) return;
      if (!this.#mayJoin()) return;
    }
    this.#writing = this.#write().finally(() => (this.#writing = undefined));
  }

  /** The record has changed in our copy. */
  onRecord(value: string | undefined, revision: number): void {
    const record = parseNode(value);
    if (record?.epoch === this.#epoch) return this.#onOwnRecord(record, revision);
    if (this.#state === "held" && revision > this.#revision) this.#lose(record);
  }

  /** Ends the lease, so that other nodes need not wait for it. Never rejects. */
  async release(): Promise<void> {
    this.#closed = true;
    await this.#writing;
    const wasWritten = this.#ackedAsOf > -Infinity;
    this.#state = "waiting";
    if (!wasWritten) return;
    await this.#parts.keyValue.delete(this.#key, this.#revision).catch(() => undefined); // others will end it
  }

  /** Whether a record may be written for a new lease. */
  #mayJoin(): boolean {
    const { mirror, clock, hasRoom, onProblem } = this.#parts;
    this.#revision = mirror.revisionOf(this.#key);
    const current = parseNode(mirror.get(this.#key)?.value);
    if (current?.epoch === this.#epoch) {
      this.#hold(); // written by an attempt whose response was lost
      return false;
    }
    this.#state = current === undefined ? "waiting" : "taken";
    if (current !== undefined) return this.#isGivenUp(this.#revision);
    if (hasRoom()) return true;
    this.#nextAttemptAt = clock.now() + HEARTBEAT_MS;
    onProblem(new Error("the cluster has too many nodes"));
    return false;
  }

  /** Another process has this node's id: it, or an earlier life of this node, has to be silent for as long as any other node. */
  #isGivenUp(revision: number): boolean {
    const { clock, onProblem } = this.#parts;
    const now = clock.now();
    if (this.#other?.revision !== revision) this.#other = { revision, since: now };
    if (now - this.#other.since >= SUSPECT_MS) return true;
    onProblem(new Error("another process has this node's id, or had it some seconds ago"));
    return false;
  }

  async #write(): Promise<void> {
    const { keyValue, mirror, clock, url, version, onProblem } = this.#parts;
    const sentAt = clock.now();
    const epoch = this.#epoch;
    this.#beat += 1;
    this.#remember(this.#beat, sentAt);
    const record: NodeRecord = { epoch, beat: this.#beat, url, version };
    const value = JSON.stringify(record);
    this.#nextAttemptAt = sentAt + HEARTBEAT_MS;
    try {
      const revision =
        this.#revision === 0
          ? await keyValue.create(this.#key, value)
          : await keyValue.update(this.#key, value, this.#revision);
      if (epoch !== this.#epoch) return; // lost meanwhile, by what our copy says
      this.#acknowledge(sentAt, revision);
      onProblem(undefined);
    } catch (error) {
      this.#nextAttemptAt = clock.now() + HEARTBEAT_RETRY_MS;
      if (!(error instanceof RevisionConflict)) return onProblem(error as Error);
      if ((await mirror.learn(error, CATCH_UP_MS)) && epoch === this.#epoch) this.#onConflict();
    }
  }

  /** Our copy has what the write has met: an earlier attempt of ours whose response was lost, or another's write. */
  #onConflict(): void {
    const { mirror } = this.#parts;
    const record = parseNode(mirror.get(this.#key)?.value);
    if (record?.epoch === this.#epoch) this.#revision = mirror.revisionOf(this.#key);
    else if (this.#state === "held") this.#lose(record);
  }

  #onOwnRecord({ beat }: NodeRecord, revision: number): void {
    const { clock } = this.#parts;
    const sentAt = this.#pending.get(beat);
    this.#pending.delete(beat);
    if (sentAt === undefined) return;
    this.#acknowledge(sentAt, revision);
    if (sentAt <= this.#freshAsOf) return;
    const now = clock.now();
    const isGap = sentAt - this.#freshAsOf > MAX_HEARTBEAT_GAP_MS || now - sentAt > MAX_HEARTBEAT_RETURN_MS;
    if (isGap) this.#freshSince = now;
    this.#freshAsOf = sentAt;
  }

  #acknowledge(sentAt: number, revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
    this.#ackedAsOf = Math.max(this.#ackedAsOf, sentAt);
    if (this.#state !== "held" && !this.#closed) this.#hold();
  }

  #hold(): void {
    this.#state = "held";
    this.#parts.onHeld();
  }

  #lose(record: NodeRecord | undefined): void {
    this.#state = record === undefined ? "waiting" : "taken";
    this.#epoch = this.#parts.createEpoch();
    this.#revision = 0;
    this.#pending.clear();
    this.#ackedAsOf = -Infinity;
    this.#nextAttemptAt = -Infinity;
    this.#parts.onLost(this.#state);
  }

  #remember(beat: number, sentAt: number): void {
    this.#pending.set(beat, sentAt);
    const [oldest] = this.#pending.keys();
    if (oldest !== undefined && this.#pending.size > MAX_PENDING_HEARTBEATS) this.#pending.delete(oldest);
  }
}
