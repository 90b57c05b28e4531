/** Bounds of what has no end: events, and the access log live. With their reasons. */

/** Bytes that may wait for a slow reader. Then its stream is reset, and it has to read the state again. */
export const MAX_UNSENT_EVENT_BYTES: number = 256 * 1024;
/** Lines of the access log that leave for a live reader at once. */
export const ACCESS_EVENTS_BYTES: number = 64 * 1024;
/** Before the next ones do: twenty writes a second for one reader, however many requests there are. */
export const ACCESS_EVENTS_PAUSE_MS = 50;
/** Statuses that a reader of the access log may name. */
export const MAX_STATUS_FILTERS = 16;
/** Comments at this interval keep proxies from closing an idle stream of events. */
export const EVENT_KEEPALIVE_MS = 15_000;
/** Time for a reader that does not read to see the end of its stream. */
export const EVENT_END_TIMEOUT_MS = 500;
