/** Bounds of the page: what it keeps, how often it loads, how long it waits. */

/** From a request to its response. */
export const CALL_TIMEOUT_MS = 30_000;
/** The control plane sends a comment every 15 s: without any byte for as long, the connection is lost. */
export const EVENT_SILENCE_MS = 40_000;
/** One line of an event stream; a line of the access log has at most a tenth of it. */
export const MAX_EVENT_LINE_CHARS = 1024 * 1024;

/** Pauses before the page connects again: doubled from the first to the last, and shortened by up to a half at random. */
export const FIRST_RETRY_MS = 500;
export const MAX_RETRY_MS = 15_000;

/** Events are collected for as long before runners are loaded again: a change shows within a quarter of a second. */
export const RUNNER_CHANGES_MS = 150;
/** So many changed runners are loaded one by one; more of them with the whole list. */
export const MAX_SINGLE_RUNNERS = 8;
/** Round trips and streams have no events: the list is loaded again after as long, or ten times what loading took. */
export const RUNNERS_REFRESH_MS = 5_000;
export const PAUSE_PER_LOAD = 10;

/** Events that the overview lists. */
export const MAX_RECENT_EVENTS = 50;

/** Requests that the page keeps: the newest. */
export const MAX_REQUESTS = 2_000;
/** Of those, how many are loaded at first: as many as the control plane gives at once. */
export const FIRST_REQUESTS = 1_000;
/** Requests come in batches: rows are drawn at most so often. */
export const REQUESTS_DRAW_MS = 200;

/** The control plane has a point every 10 s, for an hour. */
export const FIGURES_REFRESH_MS = 10_000;
export const MAX_FIGURES = 360;

/** Groups of runners that the picture of the topology draws; the others are one group. */
export const MAX_DRAWN_GROUPS = 12;

/** Rows that are drawn above and below the visible ones. */
export const SPARE_ROWS = 10;

export const TOAST_MS = 6_000;
export const MAX_TOASTS = 4;

/** Pictures of screens in view are loaded again after as long. */
export const THUMBNAIL_REFRESH_MS = 5_000;
