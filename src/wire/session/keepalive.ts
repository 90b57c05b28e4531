/**
 * Liveness of sessions: received bytes are life, and PING makes an idle peer send some. One timer for all sessions of a
 * process, because thousands of idle tunnels must cost neither memory nor wake-ups of their own.
 *
 * A PING and its ACK are ordinary bytes: each queues behind the bulk of its own direction, for minutes on a slow path.
 * So a peer is dead only if a PING is out *and* no byte has arrived for the deadline. The end that receives bulk keeps
 * sending PINGs of its own, also while earlier ones are unanswered: they travel in the empty direction, and tell the
 * sender of the bulk that it is heard.
 */
import type { Http2Session } from "node:http2";
import { endHttp2Session, hasEnded } from "../streams/end-stream.ts";
import { Guard } from "../streams/guard.ts";
import {
  MAX_OUTSTANDING_PINGS,
  PING_ANSWER_LIMIT_MS,
  PING_DEADLINE_MS,
  PING_INTERVAL_MS,
  PROGRESS_BYTES,
} from "../limits.ts";

export interface KeepaliveOptions {
  /** From one answered PING to the next, in milliseconds. Default {@link PING_INTERVAL_MS}. */
  pingIntervalMs?: number | undefined;
  /** Silence, in milliseconds, after which a peer that owes a PING's answer is dead. Default {@link PING_DEADLINE_MS}. */
  pingDeadlineMs?: number | undefined;
  /** The longest that a PING may stay unanswered while other bytes arrive. Default {@link PING_ANSWER_LIMIT_MS}. */
  pingAnswerLimitMs?: number | undefined;
}

/** Why a peer is given up. */
export interface Death {
  /** Since the last byte from the peer. */
  silentMs: number;
  /** Since the oldest PING that it has not answered. */
  unansweredMs: number;
}

/** What is known of one session's liveness. */
export interface Liveness {
  /** Round trip of the last answered PING; undefined until the first. */
  readonly rttMs: number | undefined;
  stop: () => void;
}

/** For logs and reasons. */
export function describeDeath({ silentMs, unansweredMs }: Death): string {
  return silentMs >= unansweredMs
    ? `nothing received for ${Math.round(silentMs)} ms`
    : `a PING without an answer for ${Math.round(unansweredMs)} ms`;
}

const TICK_MS = 1_000;

interface Watch extends Liveness {
  rttMs: number | undefined;
  readonly http2Session: Http2Session;
  readonly received: () => number;
  readonly onDead: (death: Death) => void;
  readonly intervalMs: number;
  readonly deadlineMs: number;
  readonly answerLimitMs: number;
  receivedBytes: number;
  /** All times are of {@link clockMs}. */
  receivedAtMs: number;
  /** PINGs that have not been answered, the oldest first. */
  readonly unanswered: { sentAtMs: number }[];
  lastPingAtMs: number;
  bytesAtLastPing: number;
}

/**
 * Watches a session until it closes or drains. `onDead` is called once; it must destroy the session (node:http2 has no
 * deadline of its own, and TCP keep-alive does not act on unacknowledged data).
 *
 * @param received bytes that have arrived on the carrier so far
 */
export function keepAlive(
  http2Session: Http2Session,
  received: () => number,
  onDead: (death: Death) => void,
  options: KeepaliveOptions = {},
): Liveness {
  const receivedBytes = received();
  const watch: Watch = {
    http2Session,
    received,
    onDead,
    intervalMs: options.pingIntervalMs ?? PING_INTERVAL_MS,
    deadlineMs: options.pingDeadlineMs ?? PING_DEADLINE_MS,
    answerLimitMs: options.pingAnswerLimitMs ?? PING_ANSWER_LIMIT_MS,
    rttMs: undefined,
    receivedBytes,
    receivedAtMs: clockMs,
    unanswered: [],
    lastPingAtMs: -Infinity, // the first PING goes out at the next tick: rttMs is known soon
    bytesAtLastPing: receivedBytes,
    stop: () => remove(watch),
  };
  http2Session.once("close", watch.stop);
  add(watch);
  return watch;
}

const watches = new Set<Watch>();
let timer: NodeJS.Timeout | undefined;
let tickMs = TICK_MS;
let lastTickAt = 0;
/** Stands still while this process does. */
let clockMs = 0;

function add(watch: Watch): void {
  watches.add(watch);
  // Tests and impatient operators use short intervals: the tick follows the shortest.
  const wanted = Math.max(10, Math.min(TICK_MS, watch.intervalMs / 4, watch.deadlineMs / 4));
  if (timer !== undefined && wanted >= tickMs) return;
  if (timer !== undefined) clearInterval(timer);
  tickMs = wanted;
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
  // A process that was stopped or busy must not declare its peers dead for its own absence: their answers may be
  // waiting in the socket. So one tick counts for no more than two.
  clockMs += Math.min(now - lastTickAt, tickMs * 2);
  lastTickAt = now;
  for (const watch of watches) {
    const endWatch = (error: Error): void => {
      remove(watch);
      endHttp2Session(watch.http2Session, error);
    };
    new Guard(endWatch).run(() => look(watch));
  }
}

function look(watch: Watch): void {
  const { http2Session, deadlineMs, unanswered } = watch;
  // After a GOAWAY a PING that was under way gets no answer any more: from then on the drain deadline is the limit.
  if (http2Session.closed || hasEnded(http2Session)) return remove(watch);
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
      death.unansweredMs >= watch.answerLimitMs
    ) {
      remove(watch);
      return watch.onDead(death);
    }
  }
  const sincePingMs = clockMs - watch.lastPingAtMs;
  const isDue = unanswered.length === 0 && sincePingMs >= watch.intervalMs;
  // More than an idle peer's PINGs: bulk arrives, and its sender has to hear of it well within its own deadline.
  const isReceiving = received - watch.bytesAtLastPing >= PROGRESS_BYTES;
  if (isDue || (isReceiving && sincePingMs >= deadlineMs / 2)) sendPing(watch);
}

function sendPing(watch: Watch): void {
  const { http2Session, unanswered } = watch;
  if (unanswered.length >= MAX_OUTSTANDING_PINGS) return;
  const ping = { sentAtMs: clockMs };
  unanswered.push(ping);
  watch.lastPingAtMs = clockMs;
  watch.bytesAtLastPing = watch.receivedBytes;
  http2Session.ping((error, durationMs) => {
    // Cancelled by the session's end, or after a GOAWAY, behind which nghttp2 sends no PING: the next tick sees it.
    if (error !== null) return;
    watch.rttMs = durationMs;
    // Answers come in order, so those before it have been answered as well.
    unanswered.splice(0, unanswered.indexOf(ping) + 1);
  });
}
