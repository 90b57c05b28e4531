/** Bounds of the Wolf client, with their reasons. */

/** Wolf has one thread, and another call's `lobbies/create` may block it for 10 s. */
export const RESPONSE_TIMEOUT_MS = 15_000;

/** Up to 10 s of its own, up to 10 s of another before it, and the round trip. */
export const LOBBY_CREATE_TIMEOUT_MS = 30_000;

/** Up to 2 s of its own, on top of the wait for Wolf's thread. */
export const LOBBY_JOIN_TIMEOUT_MS = 20_000;

/** Wolf sends a keep-alive every 15 s, but none while its thread is blocked: two missed ones and 10 s. */
export const EVENT_SILENCE_TIMEOUT_MS = 40_000;

/** From the request to the first line: Wolf asks the registry first. */
export const IMAGE_PULL_START_TIMEOUT_MS = 60_000;

/** Between two lines: nothing is reported while a large layer is unpacked. */
export const IMAGE_PULL_SILENCE_TIMEOUT_MS = 300_000;

/** Calls at once: Wolf runs them one after another anyway, and each uses one of its descriptors. */
export const MAX_CALLS = 8;
export const MAX_WAITING_CALLS = 256;

/** One at a time: a second would only block Wolf's thread for longer, and a request that Wolf has read cannot be cancelled. */
export const MAX_LOBBY_CREATIONS = 1;
export const MAX_WAITING_LOBBY_CREATIONS = 32;

/** Event streams and image pulls. They may never end, so none waits for another. */
export const MAX_STREAMS = 32;

/** One response; the largest is `system/health` with the stack traces of stuck threads. */
export const MAX_RESPONSE_BYTES: number = 16 * 1024 * 1024;

/** One line of an event stream or of an image pull. */
export const MAX_LINE_BYTES: number = 1024 * 1024;

/** Events, or lines of an image pull, that the reader has not taken yet. */
export const MAX_UNREAD_ITEMS = 1_000;
export const MAX_UNREAD_BYTES: number = 4 * 1024 * 1024;
