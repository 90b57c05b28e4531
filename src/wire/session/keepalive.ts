/**
 * Liveness of tunnel connections: received bytes prove that the peer is alive, and PING makes an idle peer send some. One
 * timer serves all connections of a process: thousands of idle tunnels must not cost a timer each.
 *
 * A PING and its ACK queue behind other data of their direction, for minutes on a slow path. So a peer is dead only if a
 * PING is unanswered *and* no byte has arrived for the deadline. An end that receives bulk data keeps sending PINGs, even
 * while earlier ones are unanswered: they travel in the idle direction and show the sender that the data arrives.
 */
import type { Http2Session } from "node:http2";
import { endHttp2Session, hasEnded } from "../streams/end-stream.ts";
import { Guard } from "../streams/guard.ts";
import {
  MAX_OUTSTANDING_PINGS,
  PING_ACK_LIMIT_MS,
  PING_DEADLINE_MS,
  PING_INTERVAL_MS,
  PROGRESS_BYTES,
} from "../limits.ts";

export interface KeepaliveOptions {
  /** From one acknowledged PING to the next, in milliseconds. Default {@link PING_INTERVAL_MS}. */
  pingIntervalMs?: number | undefined;
  /** Milliseconds without a byte after which a peer with an unanswered PING is dead. Default {@link PING_DEADLINE_MS}. */
  pingDeadlineMs?: number | undefined;
  /** Milliseconds for which a PING may stay unanswered while other bytes arrive. Default {@link PING_ACK_LIMIT_MS}. */
  pingAckLimitMs?: number | undefined;
}

/** How a connection is watched. */
export interface WatchOptions extends KeepaliveOptions {
  /** Called with the time of each PING that was acknowledged. */
  onRoundTrip?: ((ms: number) => void) | undefined;
}

/** Why a peer counts as dead. */
export interface Death {
  /** Since the last byte from the peer. */
  silentMs: number;
  /** Since the oldest PING that it has not acknowledged. */
  unansweredMs: number;
}

/** The watch on one connection. */
export interface Liveness {
  /** Round-trip time of the last acknowledged PING; undefined before the first. */
  readonly rttMs: number | undefined;
  stop: () => void;
}

/** What is watched: sends PINGs, and can be ended. */
export interface WatchedPeer {
  /** It ends or drains: from then on it is not watched. */
  isOver(): boolean;
  /** Throws, or calls back with an error, where it cannot be sent or is cancelled. */
  ping(onAcknowledged: (error: Error | null, durationMs: number) => void): void;
  /** For what the watch itself throws. */
  end(reason: Error): void;
}

/** For logs and error messages. */
export function describeDeath({ silentMs, unansweredMs }: Death): string {
  return silentMs >= unansweredMs
    ? `nothing received for ${Math.round(silentMs)} ms`
    : `a PING unanswered for ${Math.round(unansweredMs)} ms`;
}

const TICK_MS = 1_000;

interface Watch extends Liveness {
  rttMs: number | undefined;
  readonly peer: WatchedPeer;
  readonly received: () => number;
  readonly onDead: (death: Death) => void;
  readonly onRoundTrip: ((ms: number) => void) | undefined;
  readonly intervalMs: number;
  readonly deadlineMs: number;
  readonly ackLimitMs: number;
  receivedBytes: number;
  /** All times are of {@link clockMs}. */
  receivedAtMs: number;
  /** Unanswered PINGs, oldest first. */
  readonly unanswered: { sentAtMs: number }[];
  lastPingAtMs: number;
  bytesAtLastPing: number;
}

/**
 * Watches a connection until it closes or drains. `onDead` is called once and must destroy it (node:http2 has no deadline
 * of its own, and TCP keep-alive does not act on unacknowledged data).
 *
 * @param received bytes that have arrived on the carrier so far
 */
export function keepAlive(
  http2Session: Http2Session,
  received: () => number,
  onDead: (death: Death) => void,
  options: WatchOptions = {},
): Liveness {
  const peer: WatchedPeer = {
    // After GOAWAY, PINGs in flight get no ACK any more: from then on the drain deadline applies.
    isOver: () => http2Session.closed || hasEnded(http2Session),
    ping: (onAcknowledged) => void http2Session.ping(onAcknowledged),
    end: (reason) => endHttp2Session(http2Session, reason),
  };
  const liveness = watchPeer(peer, received, onDead, options);
  http2Session.once("close", liveness.stop);
  return liveness;
}

/** As {@link keepAlive}, for a connection of another protocol, which has to be stopped when it closes. */
export function watchPeer(
  peer: WatchedPeer,
  received: () => number,
  onDead: (death: Death) => void,
  options: WatchOptions = {},
): Liveness {
  const receivedBytes = received();
  const watch: Watch = {
    peer,
    received,
    onDead,
    onRoundTrip: options.onRoundTrip,
    intervalMs: options.pingIntervalMs ?? PING_INTERVAL_MS,
    deadlineMs: options.pingDeadlineMs ?? PING_DEADLINE_MS,
    ackLimitMs: options.pingAckLimitMs ?? PING_ACK_LIMIT_MS,
    rttMs: undefined,
    receivedBytes,
    receivedAtMs: clockMs,
    unanswered: [],
    lastPingAtMs: -Infinity, // the first PING is sent at the next tick, so that rttMs is known early
    bytesAtLastPing: receivedBytes,
    stop: () => remove(watch),
  };
  add(watch);
  return watch;
}

const watches = new Set<Watch>();
let timer: NodeJS.Timeout | undefined;
let tickMs = TICK_MS;
let lastTickAt = 0;
/** Does not advance while the process is suspended. */
let clockMs = 0;

function add(watch: Watch): void {
  watches.add(watch);
  // The tick follows the shortest interval.
  const neededMs = Math.max(10, Math.min(TICK_MS, watch.intervalMs / 4, watch.deadlineMs / 4));
  if (timer !== undefined && neededMs >= tickMs) return;
  if (timer !== undefined) clearInterval(timer);
  tickMs = neededMs;
  lastTickAt = performance.now();
  timer = setInterval(tick, tickMs);
  timer.unref();
}

function remove(watch: Watch): void {
  watches.delete(watch);
  if (watches.size > 0 || timer === undefined) return;
  clearInterval(timer);
  timer = undefined;
  tickMs = TICK_MS;
}

function tick(): void {
  const now = performance.now();
  // After a suspension or a blocked event loop, peers must not be declared dead: their ACKs may be waiting in the socket.
  // So one tick counts as at most two.
  clockMs += Math.min(now - lastTickAt, tickMs * 2);
  lastTickAt = now;
  for (const watch of watches) {
    const endWatch = (error: Error): void => {
      remove(watch);
      watch.peer.end(error);
    };
    new Guard(endWatch).run(() => check(watch));
  }
}

function check(watch: Watch): void {
  const { peer, deadlineMs, unanswered } = watch;
  if (peer.isOver()) return remove(watch);
  const received = watch.received();
  if (received !== watch.receivedBytes) {
    watch.receivedBytes = received;
    watch.receivedAtMs = clockMs;
  }
  const [oldest] = unanswered;
  if (oldest !== undefined) {
    const death = { silentMs: clockMs - watch.receivedAtMs, unansweredMs: clockMs - oldest.sentAtMs };
    if (
      Math.min(death.silentMs, death.unansweredMs) >= deadlineMs ||
      death.unansweredMs >= watch.ackLimitMs
    ) {
      remove(watch);
      return watch.onDead(death);
    }
  }
  const sincePingMs = clockMs - watch.lastPingAtMs;
  const isDue = unanswered.length === 0 && sincePingMs >= watch.intervalMs;
  // Bulk data arrives: its sender must see a sign of life well within its own deadline.
  const isReceiving = received - watch.bytesAtLastPing >= PROGRESS_BYTES;
  if (isDue || (isReceiving && sincePingMs >= deadlineMs / 2)) sendPing(watch);
}

function sendPing(watch: Watch): void {
  const { peer, unanswered } = watch;
  if (unanswered.length >= MAX_OUTSTANDING_PINGS) return;
  const ping = { sentAtMs: clockMs };
  unanswered.push(ping);
  watch.lastPingAtMs = clockMs;
  watch.bytesAtLastPing = watch.receivedBytes;
  peer.ping((error, durationMs) => {
    // Cancelled, because the connection ends or drains (nghttp2 sends no PING after GOAWAY): the next tick handles it.
    if (error !== null) return;
    watch.rttMs = durationMs;
    watch.onRoundTrip?.(durationMs);
    // ACKs arrive in order, so the PINGs before it have been acknowledged as well.
    unanswered.splice(0, unanswered.indexOf(ping) + 1);
  });
}
