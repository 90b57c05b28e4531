/** Bounds of local forwarding. */

/** Connections at once through one mapping: each holds a stream at the control plane, and two descriptors. */
export const MAX_FORWARDED: number = 512;
/** How long the control plane waits for a runner that is not connected: an agent's restart takes seconds. */
export const FORWARD_WAIT_MS: number = 30_000;
/** From one look at the connection to the control plane to the next. */
export const WARM_INTERVAL_MS: number = 2_000;
