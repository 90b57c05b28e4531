/** Bounds of completion, with their reasons. */

/** Whoever presses Tab does not wait longer for names. */
export const COMPLETION_TIMEOUT_MS = 1_000;
/** More names than a shell can list. */
export const MAX_COMPLETED_RUNNERS = 1_000;
