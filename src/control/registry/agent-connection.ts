/** One tunnel connection of an agent: the runners that it serves, its streams and load, and how it ends. */
import type { X509Certificate } from "node:crypto";
import type { ClientHttp2Session } from "node:http2";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Hello, RunnerInfo, TargetHttp, TargetInfo } from "../../wire/messages/hello.ts";
import { DRAIN_DEADLINE_MS, OPEN_STREAMS_PER_CONNECTION } from "../../wire/limits.ts";
import { formatAuthority } from "../../wire/messages/names.ts";
import type { Destination } from "../../wire/messages/names.ts";
import type { GoawayReason } from "../../wire/session/goaway.ts";
import { TokenBucket } from "../../wire/token-bucket.ts";
import type { Identity } from "../auth/identity.ts";
import { TargetPools } from "../http1-target/target-pools.ts";
import { FAILURE_NOTICES_BURST, FAILURE_NOTICES_PER_S } from "../limits.ts";
import type { StreamCause } from "../records/request-record.ts";
import { Counts } from "../shares/shares.ts";
import type { Release } from "../shares/shares.ts";
import { Http2Tunnel } from "../tunnels/http2-tunnel.ts";
import type { TargetSocket, Tunnel } from "../tunnels/tunnel.ts";
import { ALL_PLACES, placeKeys } from "../shares/place-keys.ts";
import { ByteRate } from "../tunnels/byte-rate.ts";

/** Above this many bytes per second a connection counts as busy with bulk, and small requests avoid it. */
const BULK_BYTES_PER_S = 4 * 1024 * 1024;
/** Shortest time between two samples of the byte counter. */
const SAMPLE_MS = 100;

export interface AgentConnectionParts {
  id: string;
  tunnel: Tunnel;
  identity: Identity;
  /** With which it was admitted; undefined if it was with a token. */
  certificate?: X509Certificate | undefined;
  hello: Hello;
}

export class AgentConnection {
  readonly id: string;
  readonly tunnel: Tunnel;
  /** Replaced when the token's grant changes while the connection is open. */
  identity: Identity;
  readonly certificate: X509Certificate | undefined;
  readonly hello: Hello;
  readonly since: Date = new Date();
  /** Runners that this connection serves now. */
  readonly runners: Map<string, RunnerInfo>;
  /** Runners that the agent offers and that were refused. */
  readonly refused: Map<string, RunnerInfo> = new Map();
  /** Notices without a response yet. */
  pendingNotices = 0;
  /** Notices about targets' failures: callers can cause them without limit, and the agent takes few of all kinds. */
  readonly failureNotices: TokenBucket = new TokenBucket({
    burst: FAILURE_NOTICES_BURST,
    perS: FAILURE_NOTICES_PER_S,
  });
  /** The reconnect spread that was last sent to the agent, in milliseconds. */
  reconnectSpreadMs = 0;
  /** Its process has been replaced before: it serves a runner only while no other process does. */
  standby: boolean;
  readonly pools: TargetPools = new TargetPools(this);
  /** Dials and requests by target, by target and caller, and by caller ({@link takePlace}). */
  readonly places: Counts = new Counts();
  #openStreams = 0;
  /** Open streams by authority, `<target>.<runner>`. */
  readonly #streamsTo = new Map<string, number>();
  readonly #rate: ByteRate;
  readonly #drain = new AbortController();
  #drainTimer: NodeJS.Timeout | undefined;
  #isEndedHere = false;
  #isRevoked = false;
  #hasLeft = false;
  #endReason: string | undefined;

  constructor(parts: AgentConnectionParts) {
    this.id = parts.id;
    this.tunnel = parts.tunnel;
    this.identity = parts.identity;
    this.certificate = parts.certificate;
    this.hello = parts.hello;
    this.standby = parts.hello.standby;
    this.#rate = new ByteRate(() => parts.tunnel.transferredBytes, SAMPLE_MS);
    this.runners = new Map(parts.hello.runners.map((runner) => [runner.id, runner]));
    this.tunnel.onDrain((isShutdown) => {
      this.#hasLeft = isShutdown && !this.#drain.signal.aborted && !this.#isEndedHere;
      this.#startDrain("the agent has shut down", DRAIN_DEADLINE_MS);
    });
    this.tunnel.onClose(() => {
      clearTimeout(this.#drainTimer);
      this.pools.destroy(new TurnaboutError("tunnel_lost", "the connection to the agent has closed"));
    });
  }

  /** For requests to the agent's own routes. @throws TurnaboutError `not_supported` where its protocol has none */
  get http2Session(): ClientHttp2Session {
    if (this.tunnel instanceof Http2Tunnel) return this.tunnel.http2Session;
    throw new TurnaboutError("not_supported", `connection ${this.id}: ${this.tunnel.kind} has no such route`);
  }

  /** Random id of the agent's process: its connections have the same one. */
  get processId(): string {
    return this.hello.instance;
  }

  /** It leads to another node of the cluster, which has the agents. */
  get isRemote(): boolean {
    return this.tunnel.kind === "node";
  }

  get openStreams(): number {
    return this.#openStreams;
  }

  /** Aborted when the connection starts to drain: it takes no new streams. */
  get draining(): AbortSignal {
    return this.#drain.signal;
  }

  /** New streams may be opened. */
  get usable(): boolean {
    return !this.#drain.signal.aborted && this.tunnel.isOpen;
  }

  /** This end has closed it for a reason that is not the agent's doing: a shutdown, an expired certificate, an operator. */
  get isEndedHere(): boolean {
    return this.#isEndedHere;
  }

  /** Its credential is accepted no more, so its runners are not kept for it. */
  get isRevoked(): boolean {
    return this.#isRevoked;
  }

  /** The agent has shut down in an orderly way: nothing was lost. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  /** Why it has ended, or is about to; the first reason counts. */
  get endReason(): string {
    return this.#endReason ?? "the connection to the agent has closed";
  }

  noteEnd(reason: string): void {
    this.#endReason ??= reason;
  }

  get freeStreams(): number {
    return Math.max(0, this.tunnel.maxStreams - this.#openStreams);
  }

  get full(): boolean {
    return this.freeStreams === 0;
  }

  /** Streams to a target that are in use; idle keep-alive streams are not counted. */
  busyStreams(destination: Destination): number {
    return this.streamsTo(destination) - this.pools.idle(destination);
  }

  /** Streams to a target, idle keep-alive streams included. */
  streamsTo(destination: Destination): number {
    return this.#streamsTo.get(formatAuthority(destination)) ?? 0;
  }

  /** Counts a dial or a request of a caller until it ends, from the moment at which it gets this connection. */
  takePlace(caller: string, destination: Destination): Release {
    return this.places.take(placeKeys(caller, destination).all);
  }

  /** Streams that may still be opened, less those that dials and requests with a place are about to open. */
  get freePlaces(): number {
    return this.freeStreams - Math.max(0, this.places.of(ALL_PLACES) - this.#openStreams);
  }

  /** To choose among an agent's connections: the least is best. Bulk outweighs any number of small streams. */
  get load(): number {
    const isBulk = this.#rate.bytesPerS > BULK_BYTES_PER_S;
    return (isBulk ? OPEN_STREAMS_PER_CONNECTION : 0) + this.#openStreams;
  }

  /**
   * Opens a stream, and counts it until it closes.
   *
   * @param onClose called once when it has closed
   * @param open opens it on the tunnel, with what is to be called when it has closed
   * @throws TurnaboutError `overloaded`, `agent_draining`, and what `open` throws
   */
  open<T>(
    destination: Destination,
    onClose: () => void,
    open: (tunnel: Tunnel, onClose: () => void) => T,
  ): T {
    if (!this.usable) throw new TurnaboutError("agent_draining", `connection ${this.id}: closing`);
    if (this.full) throw new TurnaboutError("overloaded", `connection ${this.id}: all streams are in use`);
    const authority = formatAuthority(destination);
    const opened = open(this.tunnel, () => {
      this.#count(authority, -1);
      onClose();
    });
    this.#count(authority, 1);
    return opened;
  }

  /** The HTTP version of the target, as its agent announces it. */
  httpOf(destination: Destination): TargetHttp {
    return this.targetInfo(destination)?.http ?? "auto";
  }

  /** Undefined if the agent has announced no such target. */
  targetInfo({ runner, target }: Destination): TargetInfo | undefined {
    return this.runners.get(runner)?.targets.find(({ name }) => name === target);
  }

  #count(authority: string, change: 1 | -1): void {
    this.#openStreams += change;
    const streams = (this.#streamsTo.get(authority) ?? 0) + change;
    if (streams === 0) this.#streamsTo.delete(authority);
    else this.#streamsTo.set(authority, streams);
  }

  /** Opens a stream as a socket at once; a refusal is its 'error'. */
  openTunnel(destination: Destination, cause?: StreamCause): TargetSocket {
    return this.openSocket(destination, () => {}, cause);
  }

  /** The same. @param onClose called once when it has closed */
  openSocket(destination: Destination, onClose: () => void, cause?: StreamCause): TargetSocket {
    return this.open(destination, onClose, (tunnel, closed) => tunnel.openSocket(destination, closed, cause));
  }

  /** No new streams are opened, the agent gets the reason, and the open ones may finish until the deadline. */
  drain(
    reason: GoawayReason,
    message: string,
    deadlineMs: number = DRAIN_DEADLINE_MS,
    reconnectSpreadMs?: number,
  ): void {
    if (this.#drain.signal.aborted || this.tunnel.hasEnded) return;
    this.#isEndedHere = reason === "draining" || reason === "kicked";
    this.tunnel.announceEnd({ reason, message, reconnectSpreadMs });
    this.#startDrain(message, deadlineMs);
  }

  /** Closes it at once: its credential has been revoked. @param message why, for the agent */
  revoke(message: string): void {
    this.#isRevoked = true;
    if (this.usable) this.drain("refused", `unauthenticated: ${message}`, 0);
    else this.destroy(message);
  }

  /** The deadline replaces the keep-alive, which a tunnel may end with this. */
  #startDrain(message: string, deadlineMs: number): void {
    if (this.#drain.signal.aborted) return;
    this.noteEnd(message);
    this.#drain.abort();
    this.pools.drain();
    this.tunnel.close();
    this.#drainTimer = setTimeout(() => this.destroy(message), deadlineMs);
    this.#drainTimer.unref();
  }

  destroy(message: string): void {
    this.noteEnd(message);
    this.#isEndedHere ||= !this.#drain.signal.aborted;
    this.tunnel.destroy(new TurnaboutError("tunnel_lost", message));
  }
}
