/** Bounds of what is kept of the past, in memory, with their reasons. */

/** One point of a chart. */
export const HISTORY_STEP_MS = 10_000;

/** An hour of them. */
export const HISTORY_STEPS = 360;

/** What happened to one runner: a day of a runner that is restarted every half an hour, and each restart is two or three events. */
export const RUNNER_EVENTS_PER_RUNNER = 128;

/** And to all: three for each of 10,000 runners; about 200 bytes each. */
export const MAX_RUNNER_EVENTS = 32_768;

/** Characters of a reason. */
export const MAX_EVENT_REASON_LENGTH = 256;

/** Acts of administrators that are kept in memory: of one credential, so that a busy program does not push out a person, and of all. */
export const AUDIT_ENTRIES_PER_CREDENTIAL = 1_024;
export const MAX_AUDIT_ENTRIES = 8_192;

/** Characters of any text of an entry. */
export const MAX_AUDIT_TEXT_LENGTH = 256;
