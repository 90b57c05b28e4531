/**
 * The directory of a cluster: which nodes live, and which agent processes serve a runner at which node. Every node has all of it in
 * memory; what a node has entered is void when its lease ends, without a write for each.
 */
import { ReportedProblems } from "../../wire/reported-problems.ts";
import { guardedLogger } from "../../wire/log.ts";
import type { Logger } from "../../wire/log.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { parseRunnerId } from "../../wire/messages/names.ts";
import { CLOSE_WAIT_MS, MAX_NODES, START_WAIT_MS, SUSPECT_MS, TICK_MS } from "../limits.ts";
import type { Clock } from "./clock.ts";
import type { KeyValue } from "./key-value.ts";
import { Mirror } from "./mirror.ts";
import { NodeLease } from "./node-lease.ts";
import { Nodes } from "./nodes.ts";
import { Places } from "./places.ts";
import { parseKey } from "./records.ts";
import { RunnerWriter } from "./runner-writer.ts";
import type { Registration } from "./runner-writer.ts";
import { Sweeper } from "./sweeper.ts";
import type { LocalRunner, LostRunner, NodeView, Refusal, RunnerPlace } from "./views.ts";

export interface DirectoryOptions {
  keyValue: KeyValue;
  clock: Clock;
  log: Logger;
  /** Of this process in the cluster, and of no other: the rules of runner ids hold for it. */
  nodeId: string;
  /** Where other nodes reach this one. */
  url: string;
  version: string;
  /** Another one with each call. */
  createEpoch: () => string;
  /** An agent that was registered, or served without having been entered, may not serve its runner any longer. */
  onRefused: (local: LocalRunner, refusal: Refusal) => void;
}

export interface DirectoryStatus {
  /** `taken`: another process has this node's id. */
  lease: "waiting" | "held" | "taken";
  isHolder: boolean;
  isFresh: boolean;
  /** What went wrong last, and has not gone well since. */
  problem: string | undefined;
}

/** A runner that has changed; undefined if many may have. */
export type DirectoryListener = (runnerId: string | undefined) => void;

export class Directory {
  readonly #options: DirectoryOptions;
  readonly #log: Logger;
  readonly #guard: Guard;
  readonly #mirror: Mirror;
  readonly #nodes: Nodes;
  readonly #places: Places;
  readonly #lease: NodeLease;
  readonly #writer: RunnerWriter;
  readonly #sweeper: Sweeper;
  readonly #listeners = new Set<DirectoryListener>();
  readonly #problems = new ReportedProblems();
  #problem: string | undefined;
  readonly #joined = Promise.withResolvers<void>();
  #wasHolder = false;
  #cancelTick: () => void = () => {};
  #watch: { close(): void } | undefined;

  /** @throws TurnaboutError `config_invalid` if the id is not one */
  constructor(options: DirectoryOptions) {
    const { keyValue, clock, url, version, createEpoch } = options;
    const nodeId = parseRunnerId(options.nodeId);
    this.#options = options;
    this.#log = guardedLogger(options.log);
    this.#guard = new Guard((error) => this.#log.error({ err: error }, "directory: a callback has failed"));
    const onProblem = (error: Error | undefined): void => this.#report(error);
    this.#nodes = new Nodes(clock);
    this.#places = new Places(clock, this.#nodes);
    this.#mirror = new Mirror(
      clock,
      this.#guard.wrap((key, entry, revision) => this.#onKey(key, entry?.value, revision)),
      this.#guard.wrap(() => this.#notify(undefined)),
    );
    const common = { keyValue, mirror: this.#mirror, clock, nodeId };
    this.#lease = new NodeLease({
      ...common,
      url,
      version,
      createEpoch,
      hasRoom: () => this.#nodes.all().length < MAX_NODES,
      onHeld: this.#guard.wrap(() => this.#onHeld()),
      onLost: this.#guard.wrap((state) => this.#onLost(state)),
      onProblem,
    });
    const view = { ...common, lease: this.#lease, nodes: this.#nodes, places: this.#places };
    const onRefused = this.#guard.wrap(options.onRefused);
    this.#writer = new RunnerWriter({ ...view, onRefused, onProblem });
    this.#sweeper = new Sweeper({
      ...view,
      onSuspect: ({ id, epoch }) => this.#log.warn({ node: id, epoch }, "node has not renewed its lease"),
    });
  }

  /** Follows the directory, and joins the cluster. Resolves when that is done, or is taking long; it then goes on. */
  async start(): Promise<void> {
    const { keyValue, clock } = this.#options;
    this.#watch = keyValue.watch(this.#mirror);
    this.#tick();
    const cancel = clock.after(START_WAIT_MS, () => this.#joined.resolve());
    await this.#joined.promise;
    cancel();
  }

  /** Ends this node's lease: its runners have gone for the others. */
  async close(): Promise<void> {
    this.#cancelTick();
    this.#writer.close();
    this.#joined.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(CLOSE_WAIT_MS, resolve);
    await Promise.race([this.#lease.release(), promise]);
    cancel();
    this.#watch?.close();
    this.#mirror.close();
    this.#listeners.clear();
  }

  /** This node may act for its runners where only one node may. False some seconds before other nodes give it up. */
  get isHolder(): boolean {
    return this.#lease.isHolder;
  }

  /** What is in memory is not older than a few seconds. */
  get isFresh(): boolean {
    return this.#lease.isFresh;
  }

  status(): DirectoryStatus {
    const { state, isHolder, isFresh } = this.#lease;
    return { lease: state, isHolder, isFresh, problem: this.#problem };
  }

  nodes(): NodeView[] {
    const suspects = this.#suspects();
    return this.#nodes.all().map(({ id, url, epoch, version }) => ({
      id,
      url,
      epoch,
      version,
      isSelf: this.#isSelf(id, epoch),
      isSuspect: suspects.has(id),
    }));
  }

  /** The agent processes that serve a runner, in the order in which they are to be used. From memory. */
  placeOf(runnerId: string): RunnerPlace[] {
    const valid = this.#places.valid(runnerId);
    if (valid.length === 0) return [];
    const suspects = this.#suspects();
    return valid.map((place) => ({
      runnerId,
      nodeId: place.node,
      nodeEpoch: place.epoch,
      nodeUrl: this.#nodes.get(place.node)?.url ?? "",
      isSelf: this.#isSelf(place.node, place.epoch),
      isSuspect: suspects.has(place.node),
      processId: place.process,
      bootEpochMs: place.bootMs,
      credentialId: place.credential,
      generation: place.generation,
      standby: place.standby,
      discovered: place.discovered,
      streamsPerTarget: place.streams,
      targets: place.targets,
    }));
  }

  /** Runners that have a place at this node. */
  runnersAt(nodeId: string): ReadonlySet<string> {
    return this.#places.runnersAt(nodeId);
  }

  /** The credential for which a runner is reserved, also for a while after its last agent was lost. */
  reservedFor(runnerId: string): string | undefined {
    return this.#places.reservedFor(runnerId);
  }

  /** Returns a function that ends it. */
  onChange(listener: DirectoryListener): () => void {
    const guarded = this.#guard.wrap(listener);
    this.#listeners.add(guarded);
    return () => this.#listeners.delete(guarded);
  }

  /**
   * An agent process serves a runner here: once for all its connections, and again when what it offers has changed. Resolves when that is
   * entered, or refused. Never rejects.
   */
  async register(local: LocalRunner): Promise<Registration> {
    return this.#writer.register(local);
  }

  /** The last connection of an agent process has gone. Nothing happens if it is not registered. */
  unregister(lost: LostRunner): void {
    this.#writer.unregister(lost);
  }

  #tick(): void {
    this.#guard.run(() => {
      this.#lease.tick();
      this.#writer.tick();
      this.#sweeper.tick();
      this.#followHolder();
    });
    this.#cancelTick = this.#options.clock.after(TICK_MS, () => this.#tick());
  }

  #onKey(key: string, value: string | undefined, revision: number): void {
    const { kind, id } = parseKey(key) ?? {};
    if (id === undefined) return;
    if (kind === "node") return this.#onNode(id, value, revision);
    this.#places.update(id, value, revision);
    this.#writer.onEntry(id);
    this.#notify(id);
  }

  #onNode(id: string, value: string | undefined, revision: number): void {
    const isAnother = this.#nodes.update(id, value, revision);
    if (id === this.#options.nodeId) this.#lease.onRecord(value, revision);
    if (!isAnother) return;
    const node = this.#nodes.get(id);
    this.#log.info(
      { node: id, epoch: node?.epoch, url: node?.url },
      node === undefined ? "node left" : "node joined",
    );
    if (this.#places.runnersAt(id).size > 0) this.#notify(undefined);
  }

  #onHeld(): void {
    this.#log.info({ node: this.#options.nodeId, epoch: this.#lease.epoch }, "joined the cluster");
    this.#joined.resolve();
    this.#writer.compareAll();
  }

  #onLost(state: "waiting" | "taken"): void {
    const fields = { node: this.#options.nodeId };
    if (state === "taken")
      this.#log.error(fields, "another process has this node's id: not in the cluster any longer");
    else this.#log.warn(fields, "this node's lease was ended by another node: joining again");
  }

  #followHolder(): void {
    const { isHolder } = this.#lease;
    if (isHolder === this.#wasHolder) return;
    this.#wasHolder = isHolder;
    if (isHolder) this.#log.info({}, "directory: this node's lease is renewed");
    else this.#log.warn({}, "directory: this node's lease could not be renewed in time");
  }

  #report(error: Error | undefined): void {
    this.#problem = error?.message;
    if (this.#problems.isNew("", error?.message ?? ""))
      this.#log.warn({ err: error }, "the cluster's directory cannot be written to");
  }

  #isSelf(nodeId: string, epoch: string): boolean {
    return nodeId === this.#options.nodeId && epoch === this.#lease.epoch;
  }

  #suspects(): Set<string> {
    const { freshForMs } = this.#lease;
    if (freshForMs < SUSPECT_MS) return new Set();
    return new Set(this.#nodes.suspects(this.#options.nodeId, freshForMs).map(({ id }) => id));
  }

  #notify(runnerId: string | undefined): void {
    for (const listener of this.#listeners) listener(runnerId);
  }
}
