/** Bounds of the Wolf client, with their reasons. */

/** Wolf has one thread, and somebody's `lobbies/create` may hold it for 10 s: slow is not dead. */
export const ANSWER_TIMEOUT_MS = 15_000;

/** Up to 10 s of its own, up to 10 s of another's before it, and the way there and back. */
export const LOBBY_CREATE_TIMEOUT_MS = 30_000;

/** Up to 2 s of its own, on top of what everybody may have to wait. */
export const LOBBY_JOIN_TIMEOUT_MS = 20_000;

/** Wolf sends a keep-alive every 15 s, and none while its thread is held: two of them missed and 10 s. */
export const EVENT_SILENCE_TIMEOUT_MS = 40_000;

/** From the order to the first line: Wolf asks the registry first. */
export const IMAGE_PULL_START_TIMEOUT_MS = 60_000;

/** Between two lines: a large layer is unpacked without a word. */
export const IMAGE_PULL_SILENCE_TIMEOUT_MS = 300_000;

/** Calls at once: they run one after another in Wolf anyway, and each holds one of its descriptors. */
export const MAX_CALLS = 8;
export const MAX_WAITING_CALLS = 256;

/** One at a time: a second would only hold the thread for longer, and what Wolf has read cannot be taken back. */
export const MAX_LOBBY_CREATIONS = 1;
export const MAX_WAITING_LOBBY_CREATIONS = 32;

/** Event streams and image pulls. They may never end, so that waiting for one makes no sense. */
export const MAX_STREAMS = 32;

/** One answer; the largest is `system/health` with the stack traces of stuck threads. */
export const MAX_ANSWER_BYTES: number = 16 * 1024 * 1024;

/** One line of an event stream or of an image pull. */
export const MAX_LINE_BYTES: number = 1024 * 1024;

/** Events, or lines of an image pull, that their reader has not taken yet. */
export const MAX_UNREAD_ITEMS = 1_000;
export const MAX_UNREAD_BYTES: number = 4 * 1024 * 1024;
