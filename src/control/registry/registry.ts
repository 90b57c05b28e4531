/**
 * The agents' connections and the runners that they serve. A newer process of the same credential replaces an older one,
 * which becomes a stand-by. An agent that has only discovered a runner does not hold it against the runner's own agent: it is
 * used while that one is not connected.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import type { RunnerInfo } from "../../wire/messages/hello.ts";
import { MAX_RUNNERS_PER_CONNECTION } from "../../wire/limits.ts";
import { Guard } from "../../wire/streams/guard.ts";
import type { AgentConnection } from "./agent-connection.ts";
import type { Identity } from "../auth/identity.ts";
import { GRACE_MS, RUNNERS_PER_CREDENTIAL } from "../limits.ts";
import { unknownRunnerShares } from "../shares/fair-shares.ts";
import type { Shares } from "../shares/shares.ts";
import { kickRunner } from "./kick.ts";
import type { KickOptions } from "./kick.ts";
import { Entries } from "./entries.ts";
import type { RunnerState } from "./entries.ts";
import { RemoteRunners } from "./remote-runners.ts";
import { RunnerLifecycle } from "./runner-lifecycle.ts";
import type { RegistryEvent } from "./runner-lifecycle.ts";
import { viewOf } from "./runner-view.ts";
import type { RunnerView } from "./runner-view.ts";
import { WaitingDials } from "./waiting-dials.ts";
import type { Place, ShareRefused, WaitOptions } from "./waiting-dials.ts";

export type { RegistryEvent, RunnerState, RunnerView };

export interface RegistryOptions {
  graceMs?: number | undefined;
  onEvent?: ((event: RegistryEvent, connection: AgentConnection | undefined) => void) | undefined;
  /** A connection has lost one of its runners to a newer agent, and keeps the others. */
  onReplaced?: ((connection: AgentConnection, runnerId: string) => void) | undefined;
  /** What one of these has thrown. Registrations and losses are not affected by it. */
  onFailure?: ((error: Error) => void) | undefined;
  /** Of runners that have never connected, for which callers wait. */
  unknownRunners?: Shares | undefined;
  /** Whether a caller gets no further streams, because too much waits for it to read. */
  isFull?: ((caller: string) => boolean) | undefined;
  onShareRefused?: ShareRefused | undefined;
}

/** A runner that a connection may not serve; it keeps its others. */
export interface RefusedRunner {
  info: RunnerInfo;
  error: Error;
}

export class Registry {
  readonly #entries: Entries;
  readonly #dials: WaitingDials;
  readonly #lifecycle: RunnerLifecycle;
  /** Runners of other nodes. */
  readonly remote: RemoteRunners;
  #closed = false;

  constructor(options: RegistryOptions = {}) {
    const graceMs = options.graceMs ?? GRACE_MS;
    const guard = new Guard(options.onFailure ?? (() => {}));
    this.#entries = new Entries(options.unknownRunners ?? unknownRunnerShares());
    this.#dials = new WaitingDials(this.#entries, {
      graceMs,
      isFull: options.isFull ?? (() => false),
      onShareRefused: options.onShareRefused ?? (() => {}),
    });
    this.#lifecycle = new RunnerLifecycle({
      entries: this.#entries,
      dials: this.#dials,
      graceMs,
      onEvent: guard.wrap((event: RegistryEvent, from?: AgentConnection) => options.onEvent?.(event, from)),
      onReplaced: guard.wrap((connection: AgentConnection, runnerId: string) =>
        options.onReplaced?.(connection, runnerId),
      ),
    });
    this.remote = new RemoteRunners(this.#entries, this.#lifecycle);
  }

  /**
   * Checks whether this agent may register these runners as its own now.
   *
   * @throws TurnaboutError `not_allowed`, or `runner_taken` if another credential holds one of them, or if this process
   * could only stand by and the maximum of stand-bys is reached
   */
  checkMayRegister(
    runnerIds: readonly string[],
    identity: Identity,
    processId: string | undefined,
    standby: boolean,
  ): void {
    for (const id of runnerIds) {
      checkAllowed(id, identity);
      const entry = this.#entries.get(id);
      const holder = entry?.upstreams.holder;
      if (entry === undefined || holder === undefined || entry.state === "gone") continue;
      if (holder.credential !== identity.id) {
        throw new TurnaboutError("runner_taken", `register ${id}: another credential holds this runner`);
      }
      if (!entry.upstreams.hasRoomFor(processId, standby)) {
        throw new TurnaboutError("runner_taken", `register ${id}: too many agents already stand by`);
      }
    }
  }

  /**
   * Registers a connection for all its runners. If one of its own is refused, the whole connection is; a discovered one that
   * is refused is left out.
   *
   * @throws TurnaboutError as {@link checkMayRegister}, or `overloaded`, `control_plane_draining`, `tunnel_lost`
   */
  register(connection: AgentConnection): RefusedRunner[] {
    if (this.#closed)
      throw new TurnaboutError("control_plane_draining", "register: the control plane is shutting down");
    // Its 'close' has been emitted already: the connection would never be removed.
    if (connection.tunnel.hasEnded)
      throw new TurnaboutError("tunnel_lost", "register: the agent has disconnected");
    const runners = [...connection.runners.values()];
    const own = runners.filter(({ discovered }) => discovered !== true);
    for (const info of own) this.#check(info, connection);
    // First: whatever fails below, no runner stays connected by a connection that has ended.
    connection.tunnel.onClose(() => this.#disconnect(connection, true));
    const refused: RefusedRunner[] = [];
    try {
      for (const info of runners) {
        const error = this.#connect(info, connection);
        if (error !== undefined) refused.push({ info, error });
      }
    } catch (error) {
      this.#disconnect(connection, false);
      connection.runners.clear();
      throw error;
    }
    return refused;
  }

  /** A connected agent announces a further runner, or changes one. @throws TurnaboutError as {@link register} */
  addRunner(connection: AgentConnection, info: RunnerInfo): void {
    const { runners } = connection;
    if (!runners.has(info.id) && runners.size >= MAX_RUNNERS_PER_CONNECTION) {
      throw new TurnaboutError(
        "overloaded",
        `register ${info.id}: more than ${MAX_RUNNERS_PER_CONNECTION} runners`,
      );
    }
    this.#check(info, connection);
    connection.pools.forget(info.id); // its targets may have changed
    runners.set(info.id, info);
    this.#lifecycle.update(info, connection);
  }

  /** A connected agent withdraws a runner: there is no grace, because it will not reconnect for it. */
  removeRunner(connection: AgentConnection, runnerId: string): void {
    connection.refused.delete(runnerId);
    if (!connection.runners.delete(runnerId)) return;
    connection.pools.forget(runnerId);
    this.#lifecycle.disconnect(runnerId, connection, false);
  }

  setTargetHealth(connection: AgentConnection, runnerId: string, target: string, healthy: boolean): void {
    const upstream = this.#entries.get(runnerId)?.upstreams.of(connection);
    if (upstream === undefined) return;
    if (healthy) upstream.unhealthy.delete(target);
    else if (upstream.info?.targets.some(({ name }) => name === target) === true) {
      upstream.unhealthy.add(target);
    }
  }

  /** The best connection of a runner; undefined if there is none that takes new streams. */
  bestConnection(runnerId: string): AgentConnection | undefined {
    return this.#entries.get(runnerId)?.upstreams.bestConnection;
  }

  /** See {@link WaitingDials.acquire}. */
  async acquire(runnerId: string, options: WaitOptions = {}): Promise<Place> {
    return this.#dials.acquire(runnerId, options);
  }

  state(runnerId: string): RunnerState {
    return this.#entries.stateOf(runnerId);
  }

  /** Undefined for a runner that has never connected. */
  view(runnerId: string): RunnerView | undefined {
    const entry = this.#entries.get(runnerId);
    return entry === undefined || entry.state === "never-seen" ? undefined : viewOf(entry);
  }

  list(): RunnerView[] {
    return this.#entries.seen().map(viewOf);
  }

  /** Those of agents here. */
  connections(): Set<AgentConnection> {
    const upstreams = this.#entries.all().flatMap((entry) => entry.upstreams.all());
    return new Set(upstreams.flatMap(({ connections, isRemote }) => (isRemote ? [] : [...connections])));
  }

  get waitingDials(): number {
    return this.#dials.count;
  }

  /** Id of the credential of the runner's own agent, also while that is away; undefined if no credential holds it. */
  holderOf(runnerId: string): string | undefined {
    return this.#entries.get(runnerId)?.upstreams.own?.credential;
  }

  /** Id of the credential of the agent that serves the runner, or served it last. */
  credentialOf(runnerId: string): string | undefined {
    const upstreams = this.#entries.get(runnerId)?.upstreams;
    return (upstreams?.known ?? upstreams?.own)?.credential;
  }

  /**
   * A runner that was connected before this process started, and may not have reconnected yet: dials wait for it as in a
   * grace, and it is reserved for its credential. Without a credential it was discovered, and no credential holds it.
   */
  expectReturn(runnerId: string, credential: string | undefined, warmUpMs: number): void {
    this.#lifecycle.expectReturn(runnerId, credential, warmUpMs);
  }

  /** Drains connections of a runner; its agent may reconnect. Returns how many. */
  kick(runnerId: string, options: KickOptions): number {
    const view = this.view(runnerId);
    return view === undefined ? 0 : kickRunner(view, options);
  }

  /** See {@link WaitingDials.expectArrivals}. */
  expectArrivals(forMs: number): void {
    this.#dials.expectArrivals(forMs);
  }

  /** No further agent registers: they come to a successor. Connections that are open serve on. */
  handOver(): void {
    this.#closed = true;
    this.#dials.handOver();
  }

  /** Fails all waiting dials. No timer remains. */
  close(): void {
    this.#closed = true;
    this.#lifecycle.close();
    this.#dials.close();
  }

  /** @returns why a discovered runner is refused */
  #connect(info: RunnerInfo, connection: AgentConnection): TurnaboutError | undefined {
    try {
      if (info.discovered === true) this.#check(info, connection);
      this.#lifecycle.connect(info, connection);
      return undefined;
    } catch (error) {
      if (!(error instanceof TurnaboutError)) throw error;
      connection.runners.delete(info.id);
      return error;
    }
  }

  #disconnect(connection: AgentConnection, mayComeBack: boolean): void {
    for (const id of connection.runners.keys()) this.#lifecycle.disconnect(id, connection, mayComeBack);
  }

  #check(info: RunnerInfo, connection: AgentConnection): void {
    const { processId, identity, standby } = connection;
    const discovered = info.discovered === true;
    if (discovered) checkAllowed(info.id, identity);
    else this.checkMayRegister([info.id], identity, processId, standby);
    const entry = this.#entries.get(info.id);
    entry?.upstreams.checkRoom(info.id, connection, discovered);
    const isPresent = entry?.state === "connected" || entry?.state === "reconnecting";
    if (!isPresent && this.#entries.presentOf(identity.id) >= RUNNERS_PER_CREDENTIAL) {
      const reason = `${identity.id} has ${RUNNERS_PER_CREDENTIAL} runners already`;
      throw new TurnaboutError("overloaded", `register ${info.id}: ${reason}`);
    }
  }
}

function checkAllowed(id: string, identity: Identity): void {
  if (identity.mayRegister(id)) return;
  throw new TurnaboutError("not_allowed", `register ${id}: ${identity.id} may not register this runner`);
}
