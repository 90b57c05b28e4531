/**
 * The ways to one runner. Its own agent's is the first; behind it stand older processes of the same credential, which a
 * newer one has replaced, and behind those the agents that have discovered it, in the order in which they would be used.
 * A way is one agent process (its instance id) with all its connections.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import type { RunnerInfo } from "../../wire/messages/hello.ts";
import type { Destination } from "../../wire/messages/names.ts";
import type { AgentConnection } from "./agent-connection.ts";
import {
  MAX_CONNECTIONS_PER_GENERATION,
  MAX_DISCOVERERS_PER_RUNNER,
  MAX_STANDBYS_PER_RUNNER,
} from "../limits.ts";

export interface Way {
  readonly discovered: boolean;
  readonly instance: string;
  readonly bootEpochMs: number;
  readonly credential: string;
  readonly connections: Set<AgentConnection>;
  info: RunnerInfo | undefined;
  /** Targets whose last connect failed, as the agent reports it. */
  readonly unhealthy: Set<string>;
}

/** What has become of a connection that was entered. */
export interface Entered {
  way: Way;
  isNew: boolean;
  /** It stands by behind another process of the same credential. */
  standsBy: boolean;
  /** The older instance of the same credential that has lost the runner. */
  replaced: Way | undefined;
}

export class Upstreams {
  /** The runner's own agent. Kept after its last connection has gone, for the credential that may come back. */
  own: Way | undefined;
  #standbys: Way[] = [];
  #discovered: Way[] = [];
  /** What was known of it last. */
  #last: Way | undefined;

  /** Those with a connection, the first one first. */
  all(): Way[] {
    const behind = [...this.#standbys, ...this.#discovered];
    const all = this.own === undefined ? behind : [this.own, ...behind];
    return all.filter(({ connections }) => connections.size > 0);
  }

  /** The way that dials take now: the first with a connection that takes new streams. */
  get inUse(): Way | undefined {
    const all = this.all();
    return all.find(isUsable) ?? all[0];
  }

  /** Also of a runner that nobody serves now. */
  get known(): Way | undefined {
    return this.inUse ?? this.#last;
  }

  of(connection: AgentConnection): Way | undefined {
    return this.all().find(({ connections }) => connections.has(connection));
  }

  /** @throws TurnaboutError `overloaded` */
  checkRoom(runnerId: string, connection: AgentConnection, discovered: boolean): void {
    const way = this.#find(connection, discovered);
    const most = MAX_CONNECTIONS_PER_GENERATION;
    if (way !== undefined && !way.connections.has(connection) && way.connections.size >= most) {
      throw new TurnaboutError("overloaded", `register ${runnerId}: more than ${most} connections`);
    }
    if (!discovered && !this.hasRoomFor(connection.hello.instance, connection.standby)) {
      const reason = `a newer agent serves it, and ${MAX_STANDBYS_PER_RUNNER} stand by already`;
      throw new TurnaboutError("runner_taken", `register ${runnerId}: ${reason}`);
    }
    if (discovered && way === undefined && this.#discovered.length >= MAX_DISCOVERERS_PER_RUNNER) {
      const reason = `more than ${MAX_DISCOVERERS_PER_RUNNER} agents have discovered it`;
      throw new TurnaboutError("overloaded", `register ${runnerId}: ${reason}`);
    }
  }

  /** False if as many stand by as may. */
  hasRoomFor(instance: string | undefined, standby: boolean): boolean {
    if (!standby || this.own === undefined || this.own.connections.size === 0) return true;
    if (this.own.instance === instance || this.#standbys.length < MAX_STANDBYS_PER_RUNNER) return true;
    return this.#standbys.some((way) => way.instance === instance);
  }

  enter(info: RunnerInfo, connection: AgentConnection): Entered {
    const discovered = info.discovered === true;
    const known = this.#find(connection, discovered);
    const way = known ?? newWay(connection, discovered);
    const isServed = this.own !== undefined && this.own.connections.size > 0;
    // Once behind, a process stays there, also with a connection that it began before it was told.
    const standsBy =
      !discovered && way !== this.own && isServed && (connection.standby || known !== undefined);
    let replaced: Way | undefined;
    if (discovered || standsBy) {
      if (known === undefined && discovered) this.#insert(way, connection.standby);
      else if (known === undefined) this.demote(way);
    } else if (way !== this.own) {
      replaced = this.own;
      this.#standbys = this.#standbys.filter((other) => other !== way);
      this.own = way;
    }
    way.connections.add(connection);
    way.info = info;
    if (!standsBy) this.#last = way;
    return { way, isNew: known === undefined, standsBy, replaced };
  }

  /** It stands by from now on, with the connections that it has: the newest process first. */
  demote(way: Way): void {
    const older = this.#standbys.findIndex(({ bootEpochMs }) => bootEpochMs <= way.bootEpochMs);
    if (older < 0) this.#standbys.push(way);
    else this.#standbys.splice(older, 0, way);
  }

  /** The next process that stands by becomes the runner's own agent. Undefined if there is none. */
  promote(): Way | undefined {
    const next = this.#standbys.find(isUsable) ?? this.#standbys[0];
    if (next === undefined) return undefined;
    this.#standbys = this.#standbys.filter((way) => way !== next);
    this.own = next;
    this.#last = next;
    return next;
  }

  /** True if this was the last connection of its way. Other ways end with it; the runner's own is remembered. */
  leave(connection: AgentConnection, way: Way): boolean {
    if (!way.connections.delete(connection) || way.connections.size > 0) return false;
    this.#standbys = this.#standbys.filter((other) => other !== way);
    this.#discovered = this.#discovered.filter((other) => other !== way);
    return true;
  }

  #find({ hello, identity }: AgentConnection, discovered: boolean): Way | undefined {
    if (!discovered) {
      if (this.own?.instance === hello.instance) return this.own;
      return this.#standbys.find(({ instance }) => instance === hello.instance);
    }
    return this.#discovered.find(
      ({ instance, credential }) => instance === hello.instance && credential === identity.id,
    );
  }

  /** Who was first stays so; but of one credential the newer process knows better, unless it only stands by. */
  #insert(way: Way, standby: boolean): void {
    const older = this.#discovered.findIndex(({ credential }) => credential === way.credential);
    if (older < 0 || standby) this.#discovered.push(way);
    else this.#discovered.splice(older, 0, way);
  }
}

function isUsable({ connections }: Way): boolean {
  return [...connections].some(({ usable }) => usable);
}

function newWay({ hello, identity }: AgentConnection, discovered: boolean): Way {
  return {
    discovered,
    instance: hello.instance,
    bootEpochMs: hello.bootEpochMs,
    credential: identity.id,
    connections: new Set(),
    info: undefined,
    unhealthy: new Set(),
  };
}

/** Held for a credential that was known before this process started. */
export function expectedWay(credential: string): Way {
  return {
    discovered: false,
    instance: "",
    bootEpochMs: 0,
    credential,
    connections: new Set(),
    info: undefined,
    unhealthy: new Set(),
  };
}

/** The least loaded connection that takes new streams. */
export function bestOf({ connections }: Way): AgentConnection | undefined {
  let best: AgentConnection | undefined;
  let bestLoad = Infinity;
  const certificate = newestCertificate(connections);
  for (const connection of connections) {
    if (!connection.usable) continue;
    const load =
      connections.size === 1
        ? 0
        : connection.load() + (isOutdated(connection, certificate) ? OUTDATED_LOAD : 0);
    if (load < bestLoad) {
      best = connection;
      bestLoad = load;
    }
  }
  return best;
}

/** Streams that its connections can still open. */
export function freeStreams({ connections }: Way): number {
  return [...connections].reduce((sum, one) => sum + (one.usable ? one.freeStreams : 0), 0);
}

/** Streams to a target that are in use; those that its keep-alive leaves open for the next request are not. */
export function busyStreams({ connections }: Way, destination: Destination): number {
  return [...connections].reduce((sum, connection) => sum + connection.busyStreams(destination), 0);
}

/** Streams to a target, also those that its keep-alive leaves open. */
export function openStreams({ connections }: Way, destination: Destination): number {
  return [...connections].reduce((sum, connection) => sum + connection.streamsTo(destination), 0);
}

/** The connection with the most streams that lie idle for a target's next request; undefined if none has any. */
export function mostIdle({ connections }: Way, destination: Destination): AgentConnection | undefined {
  const idle = (connection: AgentConnection): number => connection.pools.idle(destination);
  const having = [...connections].filter((connection) => connection.usable && idle(connection) > 0);
  return having.toSorted((one, other) => idle(other) - idle(one))[0];
}

/** More than any load of a connection. */
const OUTDATED_LOAD = 1_000_000;

/** Fingerprint of the client certificate of the newest connection that has one. */
function newestCertificate(connections: Iterable<AgentConnection>): string | undefined {
  let newest: AgentConnection | undefined;
  for (const connection of connections) {
    if (connection.certificate === undefined) continue;
    if (newest === undefined || connection.since >= newest.since) newest = connection;
  }
  return newest?.identity.fingerprint;
}

/** Its certificate has been renewed since: it carries what it has, and gets more only if there is no other. */
function isOutdated({ certificate, identity }: AgentConnection, newest: string | undefined): boolean {
  return certificate !== undefined && identity.fingerprint !== newest;
}
