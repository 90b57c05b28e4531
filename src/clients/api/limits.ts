/** Bounds of the client of the control plane's API. */

/** From the request to the header of its response: a call that waits longer is not worth waiting for. */
export const API_TIMEOUT_MS: number = 30_000;
/** Without a response, after which a person wants to know that it is still waited for. */
export const API_SILENT_MS: number = 3_000;
/** Of a response that is read whole; 5,000 runners with their connections are about 5 MB. */
export const MAX_API_RESPONSE_BYTES: number = 64 * 1024 * 1024;
/** Of one line of the event stream. */
export const MAX_EVENT_LINE_BYTES: number = 1024 * 1024;
/** Of an error's body: its code, message and request id. */
export const MAX_ERROR_BYTES: number = 64 * 1024;
/** The control plane sends a comment more often: without any byte for as long, the connection is lost. */
export const EVENT_SILENCE_MS: number = 60_000;
