/** Bounds of what one connection may use, with their reasons. */

/** Requests of one connection that begin in one turn of the event loop; further ones wait for later turns. */
export const TURN_REQUESTS_PER_CONNECTION = 8;
/** How long requests that wait for a turn may take of it together. A single one may take longer. */
export const TURN_BUDGET_MS = 10;

/** Pipelined requests of an HTTP/1.1 connection that wait for the responses before them; with more, its input is held. */
export const MAX_PIPELINED_REQUESTS = 16;
/** An HTTP/1.1 connection's input is parsed in pieces: small ones between bodies, so that few more requests are parsed than
 * may wait (the shortest has 18 bytes), and larger ones within a body, as long as they are cheap. */
export const REQUEST_PIECE_BYTES = 1_024;
export const BODY_PIECE_BYTES: number = 64 * 1024;
export const MIN_BODY_PIECE_BYTES = 256;
/** A piece that takes less than this makes the next one of the body twice as large, and one that takes more than
 * {@link COSTLY_PIECE_MS} (it has chunks of a few bytes) makes it a quarter. */
export const CHEAP_PIECE_MS = 0.25;
export const COSTLY_PIECE_MS = 1;
/** While a costly body is not read as fast as it comes, its connection is looked at this often. */
export const BACKLOG_POLL_MS = 20;
/** The input of one HTTP/1.1 connection may take so long within {@link INPUT_WINDOW_MS}; then it waits for its turn. */
export const INPUT_TURN_MS = 2;
export const INPUT_WINDOW_MS = 20;

/** Input of all HTTP/1.1 connections may take so long in one turn of the event loop; then each is read once, and waits. */
export const TURN_INPUT_MS = 8;
/** Of connections that wait, so many are read again in one turn: each brings up to 64 KiB. */
export const TURN_INPUTS = 64;

/** A silent connection of a caller is probed after this time, and then every second; ten probes without an acknowledgement
 * end it. A caller that vanishes from an idle WebSocket is noticed in no other way. */
export const CALLER_TCP_KEEPALIVE_MS = 30_000;

/** A caller's HTTP/2 connection without a request gets GOAWAY after this time; behind its first request, after
 * `CALLER_KEEPALIVE_MS`. Browsers open connections in advance. */
export const CALLER_FIRST_REQUEST_MS = 30_000;

/** Streams of a caller's HTTP/2 connection that are reset, by either end, at once and by second. Each has cost as much as a
 * request. A browser that leaves a page resets some dozens, a reverse proxy those of all its users. */
export const CALLER_RESETS_BURST = 500;
export const CALLER_RESETS_PER_S = 100;

/** Bytes of a caller's HTTP/2 connection that are neither content nor header, nor acknowledge what we send: 256 KiB/s are
 * 28,000 frames a second. */
export const CALLER_OVERHEAD_BURST_BYTES: number = 512 * 1024;
export const CALLER_OVERHEAD_BYTES_PER_S: number = 256 * 1024;
/** Uploads that we reset have content under way, which is not counted as overhead: up to `CALLER_WINDOW_BYTES` at once, and
 * so much more by second. */
export const CALLER_LATE_BYTES_PER_S: number = 1024 * 1024;

/** A request body that is waited for brings this many bytes in {@link BODY_PROGRESS_MS}, or the request ends with 408. These
 * are 68 bytes/s; a slow uplink has 50,000. */
export const BODY_PROGRESS_BYTES = 4_096;
export const BODY_PROGRESS_MS = 60_000;
/** What is left of a body when the response has been sent has this long to arrive. */
export const BODY_LEFTOVER_MS = 10_000;
export const BODY_CHECK_INTERVAL_MS = 2_000;

/** Connections that have not brought a request yet. Thousands of agents dial at once after a restart; with 50 KiB for each
 * TLS handshake these are 400 MiB. */
export const MAX_NEW_CONNECTIONS = 8_192;
