/**
 * Every bound of the wire, with its reason. Nothing waits, queues or grows without one of these.
 * Units are in the names. Bounds of one side only live in that side's `limits.ts`.
 */

/** Flow-control window of each stream. 64 KiB (the default) would cap a stream at 64 KiB per round trip; 2 MiB
 * is 335 Mbit/s at 50 ms. It is also the most that a stalled stream can hold. */
export const STREAM_WINDOW_BYTES: number = 2 * 1024 * 1024;

/** Window of the whole connection, so that several streams add up (RFC 9113 §6.9.2 starts it at 65,535). */
export const CONNECTION_WINDOW_BYTES: number = 32 * 1024 * 1024;

/** Window of the outer stream and of the outer connection where the carrier is one stream of another HTTP/2 connection: what
 * the whole reversed session may have in flight, 1.3 Gbit/s at 50 ms. Both ends read it without pause. */
export const CARRIER_STREAM_WINDOW_BYTES: number = 8 * 1024 * 1024;

/** Largest frame that we accept: fewer, larger frames are cheaper for bulk than the default 16 KiB. */
export const MAX_FRAME_BYTES: number = 64 * 1024;

/** `maxSessionMemory` in MB (node:http2's unit). Below it a burst makes the session refuse streams for good. */
export const HTTP2_SESSION_MEMORY_MB = 256;

/** Largest single write into an HTTP/2 stream: a larger one counts against the session memory at once. */
export const MAX_STREAM_WRITE_BYTES: number = 64 * 1024;

/** Streams that the agent accepts at once on one connection (SETTINGS_MAX_CONCURRENT_STREAMS): the safety net. */
export const AGENT_MAX_STREAMS = 1_000;

/** Streams that the control plane opens at once on one connection. Below the agent's limit, because a request
 * queued inside nghttp2 fails with ENHANCE_YOUR_CALM when a local abort frees its slot. */
export const OPEN_STREAMS_PER_CONNECTION = 900;

/** Of the streams that an agent allows, these are kept for its own routes: `/events`, `/notices`, `/metrics`, `/hello`. */
export const RESERVED_STREAMS = 4;

/** Aborts arrive as RST_STREAM; node's default budget (1,000, then 33/s) would end a busy tunnel with GOAWAY. */
export const STREAM_RESET_BURST = 100_000;
/** Refill of the reset budget, per second. */
export const STREAM_RESET_RATE = 10_000;

/** Header fields in one block on the reversed session (node's default of 128 is too few behind chatty proxies). */
export const MAX_HEADER_PAIRS = 256;

/** Size of one header block on the reversed session. A block above nghttp2's 64 KiB closes the whole session,
 * so this is checked before a stream is opened. */
export const MAX_HEADER_BLOCK_BYTES: number = 48 * 1024;

/** From the carrier's 101 (or TLS handshake) to the peer's SETTINGS. */
export const HTTP2_HANDSHAKE_TIMEOUT_MS = 10_000;

/** PING cadence of each end: below every proxy's idle timeout known to us (shortest default: 60 s). */
export const PING_INTERVAL_MS = 15_000;

/** A PING is unanswered and no byte has arrived for this long: the peer is dead. Interval + deadline stay below 30 s. */
export const PING_DEADLINE_MS = 10_000;

/** A PING unanswered for this long ends the session, whatever else arrives: its direction does not move. An answer may
 * stand behind a whole connection window, which takes 11 minutes at 50,000 bytes/s. */
export const PING_ANSWER_LIMIT_MS: number = 15 * 60_000;

/** As much received since our last PING is a transfer and no exchange of PINGs (17 bytes, with TLS below 50). */
export const PROGRESS_BYTES = 512;

/** PINGs out at once on a session (node's default is 10): one each 5 s for as long as an answer may take. */
export const MAX_OUTSTANDING_PINGS = 200;

/** The longest time over which a control plane may ask its agents to spread their reconnects. */
export const MAX_RECONNECT_SPREAD_MS = 60_000;

/** From GOAWAY to the end of the last stream; then the session is destroyed. */
export const DRAIN_DEADLINE_MS = 30_000;

/** After `session.destroy(error)` the carrier is destroyed too: a WebSocket carrier reports nothing otherwise,
 * and the pause lets GOAWAY leave first. */
export const CARRIER_DESTROY_DELAY_MS = 250;

/** How often a stream that is to be closed is looked at, while its socket is full: has its last frame left? */
export const STREAM_SENT_POLL_MS = 25;

/** Whose peer has closed may still send for so long, to nobody, before it is reset: time to read the peer's last bytes. */
export const LINGER_MS = 5_000;

/** Body of the agent's own routes, read into memory by the control plane: a `/hello` with the most runners and targets
 * that there may be is 1.5 MiB. */
export const MAX_CONTROL_BODY_BYTES: number = 2 * 1024 * 1024;

/** One line of `/events`. */
export const MAX_EVENT_LINE_BYTES: number = 64 * 1024;

/** Length of a runner id and of a target name (a DNS label has 63; session ids are longer). */
export const MAX_RUNNER_ID_LENGTH = 128;
export const MAX_TARGET_NAME_LENGTH = 63;

/** Length of the `Host` by which a target knows itself: a name of 255 (RFC 1035 §2.3.4), `:` and a port. */
export const MAX_TARGET_HOST_LENGTH = 261;

/** Runners on one connection, targets of one runner: a whole Wolf host with all its sandboxes fits. */
export const MAX_RUNNERS_PER_CONNECTION = 256;
export const MAX_TARGETS_PER_RUNNER = 64;

/** A WebSocket carrier message: HTTP/2 frames are written in pieces far below it. */
export const MAX_WEBSOCKET_MESSAGE_BYTES: number = 4 * 1024 * 1024;

/** A certificate that ends so soon is warned about; of a short life, in its last quarter. */
export const EXPIRY_WARNING_MS: number = 24 * 3_600_000;
