/** Bounds of dials from another process, with their reasons. */

/** From the first packet to a connection that is ready. */
export const CONNECT_TIMEOUT_MS = 15_000;
/** For one stream: the bandwidth times the round trip of a fast path. */
export const STREAM_WINDOW_BYTES: number = 1024 * 1024;
/** For all streams of a connection. */
export const CONNECTION_WINDOW_BYTES: number = 8 * 1024 * 1024;
/** Without the server's own figure. */
export const DEFAULT_MAX_STREAMS = 100;
/** Connections of one process to its control plane: with 256 streams on each, as many streams as an admin may have open. A server
 * that allows fewer streams than it should is not given ever more connections. */
export const MAX_REMOTE_CONNECTIONS = 64;
