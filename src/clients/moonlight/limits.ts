/** Bounds of the Moonlight Web client, with their reasons. */

/** For most requests Moonlight Web asks its host, Wolf: Wolf's worst case. */
export const RESPONSE_TIMEOUT_MS = 15_000;

/** From the PIN to the result: a person has to type it into the other device. */
export const PAIR_SILENCE_TIMEOUT_MS = 300_000;

/** Calls at once; further ones wait. */
export const MAX_CALLS = 8;
export const MAX_WAITING_CALLS = 256;

/** Pairings at once. */
export const MAX_PAIRINGS = 8;

export const MAX_RESPONSE_BYTES: number = 4 * 1024 * 1024;

/** The whole response to a pairing: a PIN and a host, less than 1 KiB. */
export const MAX_PAIRING_BYTES: number = 64 * 1024;

/** One signalling message: an SDP is a few KiB. */
export const MAX_MESSAGE_BYTES: number = 1024 * 1024;
