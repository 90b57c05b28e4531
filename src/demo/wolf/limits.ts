/** Bounds of the Wolf double. Real Wolf has hardly any; each of these is far above what its API needs. */

/** One request head. Wolf reads into an unbounded buffer. */
export const MAX_HEAD_BYTES: number = 64 * 1024;

/** One JSON request body: an app with its Docker JSON is a few KiB. */
export const MAX_BODY_BYTES: number = 1024 * 1024;

/** From the connect to the end of the request; a peer that never finishes is dropped. */
export const REQUEST_TIMEOUT_MS = 60_000;

/** Connections at once; above it a new one is closed. Load tests open a few thousand. */
export const MAX_CONNECTIONS = 8_192;

/** Requests that are kept for tests. */
export const MAX_REMEMBERED_REQUESTS = 1_000;

/** Apps, profiles, sessions and lobbies, each. */
export const MAX_ENTRIES = 10_000;

/** Wolf's own keep-alive comment on `/events` (`SSE_KEEPALIVE_INTERVAL` in its source). */
export const SSE_KEEPALIVE_MS = 15_000;

/** Unsent bytes for an `/events` reader that has stopped reading, before it is dropped. */
export const MAX_UNSENT_EVENT_BYTES: number = 1024 * 1024;

/** Events that may wait while the only thread is busy; the rest are dropped. */
export const MAX_WAITING_EVENTS = 1_000;

/** How long Wolf waits for a lobby to be set up, with its only thread. */
export const MAX_LOBBY_CREATE_MS = 10_000;

/** Pause between two lines of an image pull, so that a reader sees progress. */
export const PULL_LINE_INTERVAL_MS = 20;

/** `/double/blob`: maximum size of one response (64 GiB). */
export const MAX_BLOB_BYTES: number = 64 * 1024 ** 3;
