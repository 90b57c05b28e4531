/** Bounds of the sandbox client, with their reasons. */

/** A capture takes 0.05 to 1 s, more on a busy desktop. */
export const RESPONSE_TIMEOUT_MS = 15_000;

/** `/health` and `/input` are fast. */
export const SHORT_TIMEOUT_MS = 5_000;

/** A command without its own `timeout`. */
export const EXEC_TIMEOUT_MS = 60_000;

/** Time for the response beyond the command's own `timeout`. */
export const EXEC_MARGIN_MS = 15_000;

/** The server's limit of 500 MB, at 5 Mbit/s. */
export const UPLOAD_TIMEOUT_MS = 900_000;

/** Handshake of a WebSocket: the server first looks for the display's video node. */
export const HANDSHAKE_TIMEOUT_MS = 15_000;

/** Calls at once; further ones wait. */
export const MAX_CALLS = 16;
export const MAX_WAITING_CALLS = 256;

/** A screenshot or a clipboard: at worst an uncompressed picture of 4K, in base64. */
export const MAX_RESPONSE_BYTES: number = 64 * 1024 * 1024;

/** Ten times the largest key frame seen at 4K. */
export const MAX_MESSAGE_BYTES: number = 16 * 1024 * 1024;
