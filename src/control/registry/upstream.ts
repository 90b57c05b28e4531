/** One agent process as it serves one runner: all its connections, and which of them takes the next stream. */
import { UNANNOUNCED_STREAMS_PER_TARGET } from "../../wire/limits.ts";
import type { RunnerInfo } from "../../wire/messages/hello.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { SELF } from "../shares/holders.ts";
import { placeKeys } from "../shares/place-keys.ts";
import { shareLeft, targetStreamsLeft } from "../shares/shares.ts";
import type { AgentConnection } from "./agent-connection.ts";

interface UpstreamParts {
  discovered: boolean;
  processId: string;
  bootEpochMs: number;
  credential: string;
  remote?: RemoteAgent | undefined;
}

/** The agent of a runner that is connected to another node. */
export interface RemoteAgent {
  processId: string;
  bootEpochMs: number;
  credentialId: string;
  /** Streams that it takes to one target. */
  streamsPerTarget: number;
}

export class Upstream {
  /** It does not hold the runner: its agent has discovered it, or is at another node. */
  readonly discovered: boolean;
  readonly processId: string;
  /** When the process started, in Unix milliseconds; 0 if unknown. */
  readonly bootEpochMs: number;
  /** Id of the credential that it registered with. */
  readonly credential: string;
  /** Set where its connection leads to another node. */
  readonly #remote: RemoteAgent | undefined;
  readonly connections: Set<AgentConnection> = new Set();
  /** As registered last; undefined before the first connection. */
  info: RunnerInfo | undefined;
  /** Targets whose last connect failed, as the agent reports it. */
  readonly unhealthy: Set<string> = new Set();

  private constructor({ discovered, processId, bootEpochMs, credential, remote }: UpstreamParts) {
    this.discovered = discovered;
    this.processId = processId;
    this.bootEpochMs = bootEpochMs;
    this.credential = credential;
    this.#remote = remote;
  }

  /** For the process at the other end of a connection, which is not added yet. */
  static of({ processId, hello, identity }: AgentConnection, discovered: boolean): Upstream {
    return new Upstream({ discovered, processId, bootEpochMs: hello.bootEpochMs, credential: identity.id });
  }

  /** Without a connection: reserves the runner for a credential that was known before this process started. */
  static expected(credential: string): Upstream {
    return new Upstream({ discovered: false, processId: "", bootEpochMs: 0, credential });
  }

  /** At another node. It does not hold the runner here. */
  static remote(remote: RemoteAgent): Upstream {
    const { processId, bootEpochMs, credentialId: credential } = remote;
    return new Upstream({ discovered: true, processId, bootEpochMs, credential, remote });
  }

  get isRemote(): boolean {
    return this.#remote !== undefined;
  }

  /** Its agent has discovered the runner, wherever that is connected. */
  get isDiscovered(): boolean {
    return this.isRemote ? this.info?.discovered === true : this.discovered;
  }

  get isConnected(): boolean {
    return this.connections.size > 0;
  }

  /** A connection takes new streams. */
  get isUsable(): boolean {
    for (const { usable } of this.connections) if (usable) return true;
    return false;
  }

  /** The least loaded connection that takes new streams. */
  get bestConnection(): AgentConnection | undefined {
    let best: AgentConnection | undefined;
    let bestLoad = Infinity;
    const certificate = newestCertificate(this.connections);
    for (const connection of this.connections) {
      if (!connection.usable) continue;
      const load =
        this.connections.size === 1
          ? 0
          : connection.load + (isOutdated(connection, certificate) ? OUTDATED_LOAD : 0);
      if (load < bestLoad) {
        best = connection;
        bestLoad = load;
      }
    }
    return best;
  }

  /** Streams that the agent takes to one target, as it announces. */
  get streamsPerTarget(): number {
    if (this.#remote !== undefined) return this.#remote.streamsPerTarget;
    const [connection] = this.connections;
    return connection?.hello.streamsPerTarget ?? UNANNOUNCED_STREAMS_PER_TARGET;
  }

  /** Streams that its connections can still open. */
  get freeStreams(): number {
    return this.#sum((connection) => (connection.usable ? connection.freeStreams : 0));
  }

  /** Streams to a target that are in use; idle keep-alive streams are not counted. Looks at each of them. */
  busyStreams(destination: Destination): number {
    return this.#sum((connection) => connection.busyStreams(destination));
  }

  /** Streams to a target, idle keep-alive streams included. */
  openStreams(destination: Destination): number {
    return this.#sum((connection) => connection.streamsTo(destination));
  }

  /** Whether fewer streams to a target than `max` are in use. */
  hasFewerBusyStreams(destination: Destination, max: number): boolean {
    return this.openStreams(destination) < max || this.busyStreams(destination) < max;
  }

  /** How many more streams to a target a caller may have: of those that the target takes, and that its agent's connections do. */
  shareLeft(caller: string, destination: Destination): number {
    return this.#shareLeft(caller, destination, this.busyStreams(destination));
  }

  /** Whether {@link shareLeft} is positive. */
  hasShareLeft(caller: string, destination: Destination): boolean {
    return (
      this.#shareLeft(caller, destination, this.openStreams(destination)) > 0 ||
      this.shareLeft(caller, destination) > 0
    );
  }

  /** The connection with the most idle keep-alive streams to a target; undefined if none has any. */
  mostIdleConnection(destination: Destination): AgentConnection | undefined {
    const idle = (connection: AgentConnection): number => connection.pools.idle(destination);
    const candidates = [...this.connections].filter(
      (connection) => connection.usable && idle(connection) > 0,
    );
    return candidates.toSorted((a, b) => idle(b) - idle(a))[0];
  }

  /** @param streams to the target */
  #shareLeft(caller: string, destination: Destination, streams: number): number {
    if (caller === SELF) return Infinity;
    const { ofTarget: target, ofBoth, ofCaller: everywhere } = placeKeys(caller, destination);
    let places = 0;
    let ofCallerHere = 0;
    let ofCaller = 0;
    let free = 0;
    for (const connection of this.connections) {
      const { places: taken } = connection;
      places += taken.of(target);
      ofCallerHere += taken.of(ofBoth);
      ofCaller += taken.of(everywhere);
      if (connection.usable) free += connection.freePlaces;
    }
    // Places are counted before their streams are; streams that close late are counted only as streams.
    const ofTarget = targetStreamsLeft(
      caller,
      ofCallerHere,
      this.streamsPerTarget - Math.max(places, streams),
    );
    return Math.min(ofTarget, shareLeft(caller, ofCaller, free));
  }

  #sum(count: (connection: AgentConnection) => number): number {
    let sum = 0;
    for (const connection of this.connections) sum += count(connection);
    return sum;
  }
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

/** Its certificate has been renewed since: it keeps its open streams, and gets new ones only if there is no other. */
function isOutdated({ certificate, identity }: AgentConnection, newest: string | undefined): boolean {
  return certificate !== undefined && identity.fingerprint !== newest;
}
