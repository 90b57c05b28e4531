/** Bounds of requests to the API, with their reasons. */

/** JSON body of an API request: all are small, and Hono holds one in memory. */
export const MAX_API_BODY_BYTES: number = 1024 * 1024;
/** Problems of its input that a `bad_request` lists. */
export const MAX_ERROR_DETAILS = 20;
/** A healthy agent acknowledges a PING within a round trip. */
export const PING_TIMEOUT_MS = 5_000;
