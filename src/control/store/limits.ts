/** Bounds of the store's room that the others do not need. */

/** After a hand-over: how often the successor's changes are looked at. A revocation counts within a second. */
export const SUCCESSOR_POLL_MS = 500;
/** And the pause after a look, as a multiple of what it took: 100,000 tokens take 0.2 s to read. */
export const SUCCESSOR_POLL_PAUSE = 20;
