/** One tunnel connection of an agent: the runners that it serves, its streams and load, and how it ends. */
import type { X509Certificate } from "node:crypto";
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import { carrierBytes } from "../../wire/session/carrier.ts";
import type { Carrier } from "../../wire/session/carrier.ts";
import { hasEnded } from "../../wire/streams/end-stream.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Hello, RunnerInfo, TargetHttp, TargetInfo } from "../../wire/messages/hello.ts";
import { headerListBytes, headerListPairs } from "../../wire/fields/http-fields.ts";
import type { Liveness } from "../../wire/session/keepalive.ts";
import {
  DRAIN_DEADLINE_MS,
  MAX_HEADER_BLOCK_BYTES,
  MAX_HEADER_PAIRS,
  OPEN_STREAMS_PER_CONNECTION,
  RESERVED_STREAMS,
} from "../../wire/limits.ts";
import { formatAuthority } from "../../wire/messages/names.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { CAPABILITY } from "../../wire/protocol.ts";
import { sendGoaway } from "../../wire/session/goaway.ts";
import type { GoawayReason } from "../../wire/session/goaway.ts";
import { watchRemoteEnd } from "../../wire/streams/remote-end.ts";
import { destroyHttp2Session } from "../../wire/session/reversed-session.ts";
import { TunnelSocket } from "../../wire/streams/tunnel-socket.ts";
import type { Identity } from "../auth/identity.ts";
import { TargetPools } from "../http1-target/target-pools.ts";
import { Counts } from "../shares/shares.ts";
import type { Release } from "../shares/shares.ts";
import { ByteRate } from "./byte-rate.ts";

/** Above this many bytes per second a connection counts as busy with bulk, and small requests avoid it. */
const BULK_BYTES_PER_S = 4 * 1024 * 1024;
/** Shortest time between two samples of the byte counter. */
const SAMPLE_MS = 100;

/** Key of the places of all callers at all targets. */
const ALL_PLACES = "all";

export interface AgentConnectionParts {
  id: string;
  carrier: Carrier;
  http2Session: ClientHttp2Session;
  identity: Identity;
  /** With which it was admitted; undefined if it was with a token. */
  certificate?: X509Certificate | undefined;
  hello: Hello;
  liveness: Liveness;
}

export class AgentConnection {
  readonly id: string;
  readonly carrier: Carrier;
  readonly http2Session: ClientHttp2Session;
  /** Replaced when the token's grant changes while the connection is open. */
  identity: Identity;
  readonly certificate: X509Certificate | undefined;
  readonly hello: Hello;
  readonly liveness: Liveness;
  readonly since: Date = new Date();
  /** Runners that this connection serves now. */
  readonly runners: Map<string, RunnerInfo>;
  /** Runners that the agent offers and that were refused. */
  readonly refused: Map<string, RunnerInfo> = new Map();
  /** Notices without a response yet. */
  pendingNotices = 0;
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

  constructor(parts: AgentConnectionParts) {
    this.id = parts.id;
    this.carrier = parts.carrier;
    this.http2Session = parts.http2Session;
    this.identity = parts.identity;
    this.certificate = parts.certificate;
    this.hello = parts.hello;
    this.standby = parts.hello.standby;
    this.liveness = parts.liveness;
    this.#rate = new ByteRate(() => carrierBytes(parts.carrier.stream), SAMPLE_MS);
    this.runners = new Map(parts.hello.runners.map((runner) => [runner.id, runner]));
    this.http2Session.once("goaway", () => this.#startDrain("the agent has shut down", DRAIN_DEADLINE_MS));
    this.http2Session.once("close", () => {
      clearTimeout(this.#drainTimer);
      this.pools.destroy(new TurnaboutError("tunnel_lost", "the connection to the agent has closed"));
      this.carrier.stream.destroy();
    });
  }

  /** Random id of the agent's process: its connections have the same one. */
  get processId(): string {
    return this.hello.instance;
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
    return !this.#drain.signal.aborted && !this.http2Session.closed && !hasEnded(this.http2Session);
  }

  /** This end has closed it for a reason that is not the agent's doing: a shutdown, an expired certificate, an operator. */
  get isEndedHere(): boolean {
    return this.#isEndedHere;
  }

  /** Stays below the peer's own limit: nghttp2 queues streams above it, and fails them when an abort frees a place. */
  get freeStreams(): number {
    const peerLimit = this.http2Session.remoteSettings.maxConcurrentStreams ?? OPEN_STREAMS_PER_CONNECTION;
    // `/events` holds one stream as long as the connection is open.
    const least = Math.min(1, peerLimit - (this.hello.capabilities.includes(CAPABILITY.events) ? 1 : 0));
    const limit = Math.min(OPEN_STREAMS_PER_CONNECTION, Math.max(least, peerLimit - RESERVED_STREAMS));
    return Math.max(0, limit - this.#openStreams);
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
    const authority = formatAuthority(destination);
    return this.places.take([authority, `${authority} ${caller}`, `caller ${caller}`, ALL_PLACES]);
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
   * Opens a stream. Bytes may be written at once: the agent reads them only when the target has accepted.
   *
   * @throws TurnaboutError `overloaded`, `headers_too_large`, `agent_draining`
   */
  openStream(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    if (!this.usable) throw new TurnaboutError("agent_draining", `connection ${this.id}: closing`);
    if (this.full) throw new TurnaboutError("overloaded", `connection ${this.id}: all streams are in use`);
    // Checked here: a larger block makes nghttp2 close the whole session; more fields are refused without a reason.
    const fields = headers as Record<string, string | string[]>;
    if (headerListPairs(fields) >= MAX_HEADER_PAIRS || headerListBytes(fields) > MAX_HEADER_BLOCK_BYTES) {
      const max = `${MAX_HEADER_BLOCK_BYTES} bytes or ${MAX_HEADER_PAIRS} fields`;
      throw new TurnaboutError("headers_too_large", `connection ${this.id}: the header has more than ${max}`);
    }
    const authority = String(headers[":authority"]);
    const stream = this.http2Session.request(headers);
    this.#count(authority, 1);
    watchRemoteEnd(stream);
    stream.on("error", () => {}); // permanent: 'error' can come after 'end'
    stream.once("close", () => this.#count(authority, -1));
    return stream;
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

  /** Opens a CONNECT stream and returns it as a socket at once; a refusal is its 'error'. */
  openTunnel(destination: Destination): TunnelSocket {
    const stream = this.openStream({ ":method": "CONNECT", ":authority": formatAuthority(destination) });
    return new TunnelSocket(stream, `${destination.runner} ${destination.target}`);
  }

  /** Sends GOAWAY: no new streams are opened, and the open ones may finish until the deadline. */
  drain(
    reason: GoawayReason,
    message: string,
    deadlineMs: number = DRAIN_DEADLINE_MS,
    reconnectSpreadMs?: number,
  ): void {
    if (this.#drain.signal.aborted || hasEnded(this.http2Session)) return;
    this.#isEndedHere = reason === "draining" || reason === "kicked";
    sendGoaway(this.http2Session, { reason, message, reconnectSpreadMs });
    this.#startDrain(message, deadlineMs);
  }

  /** The deadline replaces the keep-alive, because nghttp2 sends no PING after GOAWAY. */
  #startDrain(message: string, deadlineMs: number): void {
    if (this.#drain.signal.aborted) return;
    this.#drain.abort();
    this.pools.drain();
    this.http2Session.close();
    this.#drainTimer = setTimeout(() => this.destroy(message), deadlineMs);
    this.#drainTimer.unref();
  }

  destroy(message: string): void {
    this.#isEndedHere ||= !this.#drain.signal.aborted;
    destroyHttp2Session(this.http2Session, this.carrier.stream, new TurnaboutError("tunnel_lost", message));
  }
}
