/**
 * Keeps the runners' entries as this node's agents require it. It compares what is entered with what should be, and writes the
 * difference, as often as it takes: after a conflict, an unknown outcome, a lost lease.
 */
import { CATCH_UP_MS, MAX_CONFLICTS_IN_A_ROW, REGISTER_WAIT_MS, WRITES_AT_ONCE } from "../limits.ts";
import type { Clock } from "./clock.ts";
import { RevisionConflict } from "./key-value.ts";
import type { KeyValue } from "./key-value.ts";
import type { Mirror } from "./mirror.ts";
import type { NodeLease } from "./node-lease.ts";
import type { Nodes } from "./nodes.ts";
import type { Places } from "./places.ts";
import { plan } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { encodeRunner, runnerKey } from "./records.ts";
import type { LocalRunner, LostRunner, Refusal } from "./views.ts";

interface WriterParts {
  keyValue: KeyValue;
  mirror: Mirror;
  clock: Clock;
  nodeId: string;
  lease: NodeLease;
  nodes: Nodes;
  places: Places;
  /** An agent that was registered before may not be entered again. */
  onRefused: (local: LocalRunner, refusal: Refusal) => void;
  onProblem: (error: Error | undefined) => void;
}

export type Registration = "registered" | Refusal;

interface Waiting {
  local: LocalRunner;
  resolve: (registration: Registration) => void;
}

export class RunnerWriter {
  readonly #parts: WriterParts;
  /** By runner, then by process. */
  readonly #local = new Map<string, Map<string, LocalRunner>>();
  /** Runners that were withdrawn, until that is written. */
  readonly #freed = new Set<string>();
  readonly #waiting = new Map<string, Set<Waiting>>();
  /** Runners whose entries are to be compared, in order. */
  readonly #due = new Set<string>();
  /** The same, at the next tick. */
  #later = new Set<string>();
  readonly #writing = new Set<string>();
  readonly #conflicts = new Map<string, number>();
  #closed = false;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  async register(local: LocalRunner): Promise<Registration> {
    const { clock } = this.#parts;
    if (this.#closed) return unavailable("the directory is closed", false);
    const { runnerId } = local;
    const ofRunner = this.#local.get(runnerId) ?? new Map<string, LocalRunner>();
    this.#local.set(runnerId, ofRunner.set(processKey(local), local));
    const { promise, resolve } = Promise.withResolvers<Registration>();
    const waiting: Waiting = { local, resolve };
    const ofWaiting = this.#waiting.get(runnerId) ?? new Set();
    // An earlier registration of the same process that still waits is superseded, and shares the outcome.
    for (const one of ofWaiting) if (processKey(one.local) === processKey(local)) one.local = local;
    this.#waiting.set(runnerId, ofWaiting.add(waiting));
    const cancel = clock.after(REGISTER_WAIT_MS, () => resolve(this.#giveUp(waiting, ofWaiting)));
    this.compare(runnerId);
    const registration = await promise;
    cancel();
    ofWaiting.delete(waiting);
    if (ofWaiting.size === 0 && this.#waiting.get(runnerId) === ofWaiting) this.#waiting.delete(runnerId);
    return registration;
  }

  unregister(lost: LostRunner): void {
    const { runnerId, isWithdrawn } = lost;
    const ofRunner = this.#local.get(runnerId);
    const local = ofRunner?.get(processKey(lost));
    if (local === undefined) return;
    this.#remove(local);
    if (isWithdrawn && !lost.discovered) this.#freed.add(runnerId);
    this.#resolve(local, unavailable("the agent has disconnected", false));
    this.compare(runnerId);
  }

  /** The runner's entry has changed, or should. */
  compare(runnerId: string): void {
    if (this.#closed) return;
    this.#due.add(runnerId);
    this.#next();
  }

  /** An entry has changed. */
  onEntry(runnerId: string): void {
    if (this.#local.has(runnerId) || this.#isEnteredHere(runnerId)) this.compare(runnerId);
  }

  /** A new lease: nothing that was entered under the last one is valid. */
  compareAll(): void {
    for (const runnerId of this.#local.keys()) this.#due.add(runnerId);
    this.#next();
  }

  tick(): void {
    for (const runnerId of this.#later) this.#due.add(runnerId);
    this.#later = new Set();
    this.#next();
  }

  close(): void {
    this.#closed = true;
    this.#due.clear();
    for (const ofRunner of this.#waiting.values())
      for (const { resolve } of ofRunner) resolve(unavailable("the directory is closed", false));
  }

  #isEnteredHere(runnerId: string): boolean {
    const { places, nodeId, lease } = this.#parts;
    const { record } = places.entry(runnerId) ?? {};
    return record?.places.some(({ node, epoch }) => node === nodeId && epoch === lease.epoch) === true;
  }

  /** Starts what is due, as far as the bound allows. */
  #next(): void {
    const { lease, mirror } = this.#parts;
    for (const runnerId of this.#due) {
      if (this.#closed || this.#writing.size >= WRITES_AT_ONCE) return;
      if (!lease.isHolder || !mirror.isComplete) return; // the next tick looks again
      if (this.#writing.has(runnerId)) continue;
      this.#due.delete(runnerId);
      this.#writing.add(runnerId);
      void this.#write(runnerId).finally(() => {
        this.#writing.delete(runnerId);
        this.#next();
      });
    }
  }

  /** One comparison, and one write if there is a difference. Never rejects. */
  async #write(runnerId: string): Promise<void> {
    const { mirror, onProblem } = this.#parts;
    const locals = [...(this.#local.get(runnerId)?.values() ?? [])];
    const isFreed = this.#freed.delete(runnerId);
    const { refused, write } = this.#plan(runnerId, locals, isFreed);
    for (const { local, refusal } of refused) this.#refuse(local, refusal);
    const accepted = locals.filter((local) => !refused.some((one) => one.local === local));
    try {
      const revision = write === undefined ? mirror.revision : await this.#store(runnerId, write);
      this.#conflicts.delete(runnerId);
      for (const local of accepted) this.#resolve(local, "registered");
      if (write === undefined) return;
      onProblem(undefined);
      if (!(await mirror.reached(revision, CATCH_UP_MS))) this.#later.add(runnerId);
    } catch (error) {
      if (isFreed) this.#freed.add(runnerId);
      if (error instanceof RevisionConflict) return this.#onConflict(runnerId, error);
      this.#later.add(runnerId);
      onProblem(error as Error);
    }
  }

  #plan(runnerId: string, local: readonly LocalRunner[], isFreed: boolean): Plan {
    const { places, nodes, lease, nodeId, mirror } = this.#parts;
    return plan({
      record: places.entry(runnerId)?.record,
      local,
      self: { node: nodeId, epoch: lease.epoch },
      isLive: (place) => nodes.isLive(place),
      reservedFor: places.reservedFor(runnerId),
      isFreed,
      unusedGeneration: mirror.revision + 1,
    });
  }

  #store(runnerId: string, write: NonNullable<Plan["write"]>): Promise<number> {
    const { keyValue, mirror } = this.#parts;
    const key = runnerKey(runnerId);
    const revision = mirror.revisionOf(key);
    if (write === "delete") return keyValue.delete(key, revision);
    const value = encodeRunner(write);
    return revision === 0 ? keyValue.create(key, value) : keyValue.update(key, value, revision);
  }

  async #onConflict(runnerId: string, conflict: RevisionConflict): Promise<void> {
    const conflicts = (this.#conflicts.get(runnerId) ?? 0) + 1;
    this.#conflicts.set(runnerId, conflicts);
    const isLearnt = await this.#parts.mirror.learn(conflict, CATCH_UP_MS);
    if (isLearnt && conflicts % MAX_CONFLICTS_IN_A_ROW !== 0) this.#due.add(runnerId);
    else this.#later.add(runnerId);
  }

  #refuse(local: LocalRunner, refusal: Refusal): void {
    this.#remove(local);
    if (!this.#resolve(local, refusal)) this.#parts.onRefused(local, refusal);
  }

  /** Too long without a response. Who held the runner is served, and entered as soon as that is possible. */
  #giveUp(waiting: Waiting, ofWaiting: Set<Waiting>): Refusal {
    const { local } = waiting;
    ofWaiting.delete(waiting);
    const isWaitedFor = [...ofWaiting].some((other) => other.local === local); // by a later registration of the process
    const holder = this.#parts.places.entry(local.runnerId)?.record.credential;
    const isKnown = local.discovered || holder === local.credentialId;
    if (!isKnown && !isWaitedFor) {
      this.#remove(local);
      this.compare(local.runnerId); // it may have been written all the same
    }
    return unavailable("the cluster's directory cannot be written to", isKnown);
  }

  /** Unless it has been registered anew since. */
  #remove(local: LocalRunner): void {
    const ofRunner = this.#local.get(local.runnerId);
    if (ofRunner?.get(processKey(local)) !== local) return;
    ofRunner.delete(processKey(local));
    if (ofRunner.size === 0) this.#local.delete(local.runnerId);
  }

  /** False if nobody waits for it. */
  #resolve(local: LocalRunner, registration: Registration): boolean {
    let isWaitedFor = false;
    for (const waiting of this.#waiting.get(local.runnerId) ?? []) {
      if (waiting.local !== local) continue;
      waiting.resolve(registration);
      isWaitedFor = true;
    }
    return isWaitedFor;
  }
}

function processKey({ processId, discovered }: Pick<LocalRunner, "processId" | "discovered">): string {
  return `${discovered ? "discovered" : "own"} ${processId}`;
}

function unavailable(reason: string, isKnown: boolean): Refusal {
  return { kind: "unavailable", reason, isKnown };
}
