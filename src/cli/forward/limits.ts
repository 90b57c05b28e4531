/** Bounds of local forwarding. */

/** Connections at once through one mapping: each holds a stream at the control plane, and two descriptors. */
export const MAX_FORWARDED: number = 512;
/** How long the control plane waits for a runner that is not connected: an agent's restart takes seconds. */
export const FORWARD_WAIT_MS: number = 30_000;
/** A dial that has not been accepted by then is looked into: those to a connected runner take a round trip or two. */
export const WAIT_NOTICE_MS: number = 1_000;
/** Header of a browser's first request on a connection, and how long it may take. */
export const MAX_HEADER_BYTES: number = 64 * 1024;
export const HEADER_TIMEOUT_MS: number = 10_000;
/** A refused browser may read the response for so long. */
export const REFUSAL_LINGER_MS: number = 1_000;
/** From one look at the connection to the control plane to the next. */
export const WARM_INTERVAL_MS: number = 2_000;
