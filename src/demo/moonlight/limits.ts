/** Bounds of the Moonlight Web double. */

/** One JSON request body; the largest real one has two fields. */
export const MAX_BODY_BYTES: number = 64 * 1024;

/** One message to the echo: twice the largest frame of a 4K stream. */
export const MAX_ECHO_BYTES: number = 16 * 1024 * 1024;

/** One signalling message: an SDP is a few KiB. */
export const MAX_SIGNALLING_BYTES: number = 256 * 1024;

/** Echoes that wait for a slow reader; above it the double stops reading. */
export const MAX_UNSENT_ECHO_BYTES: number = 32 * 1024 * 1024;

/** Connections at once. Load tests open a few thousand. */
export const MAX_CONNECTIONS = 8_192;

/** Requests and control frames that are kept for tests, each. */
export const MAX_REMEMBERED = 1_000;

/** Hosts and stream sessions, each; above it a new one is refused. */
export const MAX_ENTRIES = 1_000;

/** From the PIN to the pairing, unless the test ends it earlier. */
export const PAIR_DELAY_MS = 3_000;
