/** Bounds of reading the access log live. */

/** Before the first attempt to connect again, and the longest pause before later ones. */
export const RECONNECT_MS = 250;
export const MAX_RECONNECT_MS = 5_000;
