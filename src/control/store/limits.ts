/** Bounds of the store's room that the others do not need. */

/** After a hand-over: how often the successor's changes are looked at. A revocation counts within a second. */
export const SUCCESSOR_POLL_MS = 500;
/** And the pause after a look, as a multiple of what it took: 100,000 tokens take 0.2 s to read. */
export const SUCCESSOR_POLL_PAUSE = 20;

/** Between two attempts to save what could not be saved. Each costs one small write. */
export const STORE_RETRY_MS = 1_000;
/** Runners whose connecting could not be saved yet: twice as many as a restart waits for. The oldest is dropped. */
export const MAX_UNSAVED_SIGHTINGS = 20_000;
/** Unsaved changes that are saved in one transaction: a few milliseconds of the event loop. */
export const UNSAVED_CHANGES_AT_ONCE = 500;
/** How long a data directory is waited for that another process is about to release, after a hand-over that has failed. */
export const STORE_REOPEN_WAIT_MS = 10_000;
/** Log entries about a store that cannot be written, where the problem comes and goes. */
export const STORE_PROBLEMS_LOGGED_PER_MINUTE = 10;
