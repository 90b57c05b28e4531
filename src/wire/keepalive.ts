/**
 * Liveness of sessions: PING with a deadline. One timer for all sessions of a process, because thousands of idle
 * tunnels must cost neither memory nor wake-ups of their own.
 */
import type { Http2Session } from "node:http2";
import { PING_DEADLINE_MS, PING_INTERVAL_MS } from "./limits.ts";

export interface KeepaliveOptions {
  /** Default {@link PING_INTERVAL_MS}. */
  pingIntervalMs?: number | undefined;
  /** Default {@link PING_DEADLINE_MS}. */
  pingDeadlineMs?: number | undefined;
}

/** What is known of one session's liveness. */
export interface Liveness {
  /** Round trip of the last answered PING; undefined until the first. */
  readonly rttMs: number | undefined;
  stop: () => void;
}

const TICK_MS = 1_000;

interface Watch extends Liveness {
  rttMs: number | undefined;
  session: Http2Session;
  onDead: (silentMs: number) => void;
  intervalMs: number;
  deadlineMs: number;
  /** Counts down to the next PING, or, while one is out, to the deadline. */
  remainingMs: number;
  pingSent: boolean;
}

/**
 * Watches a session until it closes or drains. `onDead` is called once, when a PING has had no answer for the deadline; it must
 * destroy the session (node:http2 has no deadline of its own, and TCP keep-alive does not act on unacknowledged data).
 */
export function keepAlive(
  session: Http2Session,
  onDead: (silentMs: number) => void,
  options: KeepaliveOptions = {},
): Liveness {
  const intervalMs = options.pingIntervalMs ?? PING_INTERVAL_MS;
  const watch: Watch = {
    session,
    onDead,
    intervalMs,
    deadlineMs: options.pingDeadlineMs ?? PING_DEADLINE_MS,
    rttMs: undefined,
    remainingMs: 0, // the first PING goes out at the next tick: rttMs is known soon
    pingSent: false,
    stop: () => remove(watch),
  };
  session.once("close", watch.stop);
  add(watch);
  return watch;
}

const watches = new Set<Watch>();
let timer: NodeJS.Timeout | undefined;
let tickMs = TICK_MS;
let lastTickAt = 0;

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
  const elapsedMs = Math.min(now - lastTickAt, tickMs * 2);
  lastTickAt = now;
  for (const watch of watches) {
    watch.remainingMs -= elapsedMs;
    if (watch.remainingMs > 0) continue;
    // After a GOAWAY a PING that was under way gets no answer any more: from then on the drain deadline is the limit.
    if (watch.session.closed) {
      remove(watch);
      continue;
    }
    if (watch.pingSent) {
      remove(watch);
      watch.onDead(watch.deadlineMs);
    } else sendPing(watch);
  }
}

function sendPing(watch: Watch): void {
  const { session } = watch;
  if (session.destroyed) return remove(watch);
  watch.pingSent = true;
  watch.remainingMs = watch.deadlineMs;
  session.ping((error, durationMs) => {
    if (error !== null) {
      // Cancelled. After a GOAWAY nghttp2 sends no PING any more: from then on the drain deadline is the limit.
      if (session.closed) remove(watch);
      return;
    }
    watch.rttMs = durationMs;
    watch.pingSent = false;
    watch.remainingMs = watch.intervalMs;
  });
}
