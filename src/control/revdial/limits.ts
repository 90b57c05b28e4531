/** Bounds of RevDial's protocol, with their reasons. */

/** A message of a client: Go's io.Copy writes 32 KiB at once. */
export const MAX_MESSAGE_BYTES: number = 1024 * 1024;
/** A message to a client: what Go's io.Copy reads at once. */
export const MESSAGE_BYTES: number = 32 * 1024;

/** A message to a client that loses what it has not read in one piece: it fits into one TCP segment. */
export const SMALL_MESSAGE_BYTES = 1_200;
/** Data that come so long after a PING may be what its PONG was dropped for: that client waits a second for its turn to send one. */
export const LOST_PONG_MS = 900;

/** One line of a client: a pick-up's path, and the text of an error. */
export const MAX_LINE_BYTES: number = 8 * 1024;
/** Lines that are not valid, on one control connection; then it is closed. A correct client sends none. */
export const MAX_INVALID_LINES = 16;
/** What a client sends on its control connection at once, and sustained: as many failed pick-ups as it may have dials. */
export const CONTROL_BYTES_BURST: number = 1024 * 1024;
export const CONTROL_BYTES_PER_S: number = 64 * 1024;
/** A WebSocket PING or a line costs this much besides its bytes. */
export const CONTROL_FRAME_COST_BYTES = 128;
/** Commands that a client has not read: those of {@link MAX_STREAMS} dials. Above it, its control connection is closed. */
export const MAX_UNREAD_COMMAND_BYTES: number = 128 * 1024;

/** PONGs that have not left yet, 127 bytes each: a burst of PINGs in one packet gets one for each. Above it, only the latest does. */
export const MAX_UNSENT_PONGS = 256;
/** PINGs on a data connection at once, and sustained: no back-pressure of the caller holds them up. */
export const PINGS_BURST = 8_192;
export const PINGS_PER_S = 512;

/** Interval of `keep-alive`: clients end their connection after 60 s without a command. */
export const KEEP_ALIVE_MS = 18_000;

/** Streams of one client, those that it has not picked up included; one credential may have 512 of them. Each is a
 * connection of its own at both ends, and holds up to 64 KiB of what its caller has sent before it is picked up. */
export const MAX_STREAMS = 586;
/** Of an error that a client reports. */
export const MAX_ERROR_LENGTH = 200;

/** RevDial has no half-close: when our half has ended, the target has so long to send something, each time. */
export const HALF_CLOSED_IDLE_MS = 5_000;

/** For a client's Close in response to ours. */
export const CLOSE_TIMEOUT_MS = 5_000;

/** Older connections of one runner that stand by: clients that have a runner in common are rare. */
export const MAX_STANDBYS = 2;

/** Data connections that end so soon after their client's control connection was lost have ended with the client. */
export const CLIENT_LOSS_MS = 1_000;
