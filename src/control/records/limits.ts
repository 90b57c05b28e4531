/** Bounds of the access log, with their reasons. */

/** How long a line may wait before it is written: all lines of this time leave in one write. */
export const ACCESS_LOG_WRITE_MS = 100;

/** Lines are collected in buffers of this size; a full one leaves at once. */
export const ACCESS_LOG_BUFFER_BYTES: number = 64 * 1024;

/** Buffers that wait for a slow disk or reader, 4 MiB: lines above that are dropped and counted. */
export const ACCESS_LOG_MAX_BUFFERS = 64;

/** At the end of the process: how long the last lines may take to be written. */
export const ACCESS_LOG_CLOSE_MS = 1_000;

/** How often it is reported again that lines are being dropped. */
export const ACCESS_LOG_PROBLEM_INTERVAL_MS = 60_000;

/** Characters of a path in a line; what is longer is cut off. */
export const ACCESS_LOG_MAX_PATH = 2_048;

/** Characters of any other text that comes from a peer. */
export const ACCESS_LOG_MAX_TEXT = 256;

/** Lines that wait for one live reader; further ones are dropped and counted. */
export const ACCESS_READER_MAX_LINES = 1_000;

/** And their characters. A line may have 4,000; usual ones have 500, which are a thousand lines. */
export const ACCESS_READER_MAX_LENGTH: number = 512 * 1024;

/** Requests that have ended last and are kept, of one target: what an operator scrolls through. */
export const RECENT_REQUESTS_PER_TARGET = 256;

/** The same of one user's requests that have reached no target, and of those to the API. */
export const RECENT_REQUESTS_PER_USER = 256;

/** And of all: about 600 bytes each, 10 MB. */
export const MAX_RECENT_REQUESTS = 16_384;

/** Characters of their paths and reasons; usual ones have 60. */
export const MAX_RECENT_LENGTH: number = 4 * 1024 * 1024;

/** Characters of the reason for which a request failed. */
export const MAX_REASON_LENGTH = 256;
