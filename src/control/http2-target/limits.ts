/** Bounds of the connections to targets that speak HTTP/2, with their reasons. */

/** A target's HTTP/2 connection without a request. Longer than the idle time of HTTP/1.1 streams: a request on a connection
 * that the target is about to close is refused in a way that allows another attempt (RFC 9113 §6.8). */
export const HTTP2_TARGET_IDLE_MS = 30_000;
/** From the dial to the target's SETTINGS: above the agent's own connect timeout. */
export const HTTP2_TARGET_SETTINGS_TIMEOUT_MS = 10_000;
/** Streams on one HTTP/2 connection to a target, where it allows more itself: as many as an agent opens to a target. */
export const HTTP2_TARGET_MAX_STREAMS = 586;
/** HTTP/2 connections to one target that are open at once on one agent connection: the one in use, and those behind a
 * GOAWAY whose requests are still under way. */
export const HTTP2_TARGET_MAX_CONNECTIONS = 16;
/** Requests that wait for a stream of one HTTP/2 target; the next is refused at once. And how long each waits. */
export const HTTP2_TARGET_MAX_WAITING = 1_000;
export const HTTP2_TARGET_WAIT_MS = 15_000;
/** Of a request's body, kept until the response begins: within it a request that the target has not processed is sent
 * again. gRPC's unary messages mostly fit. */
export const HTTP2_TARGET_REPLAY_BYTES: number = 64 * 1024;
/** Windows of a target's HTTP/2 connection. A stream whose caller has stopped reading holds at most its own; 1 MiB is
 * 160 Mbit/s at 50 ms. */
export const HTTP2_TARGET_STREAM_WINDOW_BYTES: number = 1024 * 1024;
export const HTTP2_TARGET_WINDOW_BYTES: number = 16 * 1024 * 1024;
export const HTTP2_TARGET_FRAME_BYTES: number = 64 * 1024;
/** Bytes of a target's HTTP/2 connection that are neither content nor header, nor acknowledge what we send, at once and by
 * second. It responds to many callers: 1 MiB/s are 110,000 frames a second. */
export const HTTP2_TARGET_OVERHEAD_BURST_BYTES: number = 4 * 1024 * 1024;
export const HTTP2_TARGET_OVERHEAD_BYTES_PER_S: number = 1024 * 1024;
