/**
 * Every bound of the wire, with its reason. Nothing waits, queues or grows without one of these.
 * Units are in the names. Bounds of one side only live in that side's `limits.ts`.
 */

/** Flow-control window of each stream. 64 KiB (the default) would cap a stream at 64 KiB per round trip; 2 MiB
 * is 335 Mbit/s at 50 ms. It is also the maximum that a stalled stream can hold. */
export const STREAM_WINDOW_BYTES: number = 2 * 1024 * 1024;

/** Window of the whole connection, so that several streams add up (RFC 9113 §6.9.2 starts it at 65,535). */
export const CONNECTION_WINDOW_BYTES: number = 32 * 1024 * 1024;

/** Window of the outer stream and of the outer connection where the carrier is one stream of another HTTP/2 connection: what
 * the whole tunnel connection may have in flight, 1.3 Gbit/s at 50 ms. Both ends always read it. */
export const CARRIER_STREAM_WINDOW_BYTES: number = 8 * 1024 * 1024;

/** Largest frame that we accept: fewer, larger frames are cheaper for bulk than the default 16 KiB. */
export const MAX_FRAME_BYTES: number = 64 * 1024;

/** `maxSessionMemory` in MB (node:http2's unit). Below it a burst makes the HTTP/2 session refuse streams permanently. */
export const HTTP2_SESSION_MEMORY_MB = 256;

/** Largest single write into an HTTP/2 stream: a larger one counts against `maxSessionMemory` at once. */
export const MAX_STREAM_WRITE_BYTES: number = 64 * 1024;

/** What the system may take of a connection before it can send it: besides what is under way, so it slows no transfer. */
export const MAX_UNSENT_BYTES: number = 256 * 1024;

/** Streams that the agent accepts at once on one connection (SETTINGS_MAX_CONCURRENT_STREAMS). The control plane stays below it. */
export const AGENT_MAX_STREAMS = 1_000;

/** Streams that the control plane opens at once on one connection. Below the agent's limit, because a request
 * queued inside nghttp2 fails with ENHANCE_YOUR_CALM when a local abort frees its slot. */
export const OPEN_STREAMS_PER_CONNECTION = 900;

/** Streams of the agent's limit that are reserved for its own routes: `/events`, `/notices`, `/metrics`, `/hello`. */
export const RESERVED_STREAMS = 4;

/** Streams to one target at once of an agent that does not announce how many it takes. */
export const UNANNOUNCED_STREAMS_PER_TARGET = 512;
/** The largest number that counts: more than any agent's connections carry. */
export const MAX_STREAMS_PER_TARGET = 65_536;

/** Aborts arrive as RST_STREAM; node's default budget (1,000, then 33/s) would end a busy tunnel with GOAWAY. */
export const STREAM_RESET_BURST = 100_000;
/** Refill of the reset budget, per second. */
export const STREAM_RESET_RATE = 10_000;

/** How often the bytes of HTTP/2 connections are counted: for so long a flood goes unnoticed. */
export const FLOOD_CHECK_INTERVAL_MS = 100;
/** And after so many DATA frames of one connection. */
export const DATA_FRAMES_PER_CHECK = 512;
/** Overhead (bytes that are neither content nor header) is free up to this part of the content, which comes in frames of 144
 * bytes and more; and up to this part of what we send: two WINDOW_UPDATEs for 4 KiB, as Go's client sends, are less. */
export const CONTENT_BYTES_PER_OVERHEAD_BYTE = 16;
export const SENT_BYTES_PER_OVERHEAD_BYTE = 64;
/** What a header block takes at most for a field besides name and value. */
export const HEADER_BYTES_PER_FIELD = 12;
/** SETTINGS and GOAWAY frames of a peer, at once and by second: each costs a callback. */
export const SETTINGS_FRAMES_BURST = 100;
export const SETTINGS_FRAMES_PER_S = 10;
/** Informational responses of a peer in the server role, on all streams: a target's page has a few; an agent sends none. */
export const INFORMATIONAL_BURST = 4_000;
export const INFORMATIONAL_PER_S = 1_000;
/** Further overhead of a tunnel connection, at once and by second. It carries the streams of many callers, and its loss hits
 * all of them: 4 MiB/s are 450,000 frames a second, more than node can make. */
export const TUNNEL_OVERHEAD_BURST_BYTES: number = 16 * 1024 * 1024;
export const TUNNEL_OVERHEAD_BYTES_PER_S: number = 4 * 1024 * 1024;

/** Header fields in one block on a tunnel connection. node's default of 128 is too few behind reverse proxies that add many. */
export const MAX_HEADER_PAIRS = 256;

/** Size of one header block on a tunnel connection. A block above nghttp2's 64 KiB closes the whole connection,
 * so this is checked before a stream is opened. */
export const MAX_HEADER_BLOCK_BYTES: number = 48 * 1024;

/** From the carrier's 101 (or TLS handshake) to the peer's SETTINGS. */
export const HTTP2_HANDSHAKE_TIMEOUT_MS = 10_000;

/** Interval of PINGs from each end: below the idle timeouts of common proxies (shortest default: 60 s). */
export const PING_INTERVAL_MS = 15_000;

/** A peer is dead if a PING is unanswered and no byte has arrived for this long. Interval and deadline together stay below
 * 30 s. */
export const PING_DEADLINE_MS = 10_000;

/** A PING unanswered for this long ends the connection even if other bytes arrive: the other direction is stuck. An ACK may
 * be queued behind a whole connection window, which takes 11 minutes at 50,000 bytes/s. */
export const PING_ACK_LIMIT_MS: number = 15 * 60_000;

/** This many bytes received since our last PING mean a transfer, not just PINGs (17 bytes, below 50 with TLS). */
export const PROGRESS_BYTES = 512;

/** Unanswered PINGs on one connection (node's default is 10): one every 5 s for as long as an ACK may take. */
export const MAX_OUTSTANDING_PINGS = 200;

/** Maximum time over which a control plane may ask its agents to spread their reconnects. */
export const MAX_RECONNECT_SPREAD_MS = 60_000;

/** From GOAWAY to the end of the last stream; after that the connection is destroyed. */
export const DRAIN_DEADLINE_MS = 30_000;

/** After `session.destroy(error)` the carrier is destroyed too: a WebSocket carrier reports nothing otherwise,
 * and the pause lets GOAWAY leave first. */
export const CARRIER_DESTROY_DELAY_MS = 250;

/** Interval at which a stream that waits to be closed is checked while its socket is full: has its last frame left? */
export const STREAM_SENT_POLL_MS = 25;

/** After the other end of a splice has closed, this end has so long to read what is still on its way to it; then it is
 * reset. What it sends meanwhile is dropped. */
export const LINGER_MS = 5_000;

/** How long a target's last bytes are still read after it has stopped reading ours. */
export const READ_AFTER_RESET_MS = 2_000;

/** How long either end of a WebSocket may take to close behind the other's close, or behind a close frame of ours. */
export const WEBSOCKET_CLOSE_TIMEOUT_MS = 5_000;
/** And sends so much at most meanwhile, which is dropped: what is under way is a window of 2 MiB, and as much in the agent and its
 * socket. */
export const WEBSOCKET_DROPPED_BYTES: number = 8 * 1024 * 1024;

/** A frame of a WebSocket's client up to this size goes to the server whole or not at all, a larger one in fragments. Signalling is far below. */
export const MAX_HELD_FRAME_BYTES: number = 64 * 1024;

/** Body of the agent's own routes, read into memory by the control plane: a `/hello` with the maximum of runners and targets
 * is 1.5 MiB. */
export const MAX_CONTROL_BODY_BYTES: number = 2 * 1024 * 1024;

/** Log lines that are kept for a diagnosis, and the characters of their fields: at most 2 MiB, usually 100 KiB. */
export const RECENT_LOG_LINES = 500;
export const RECENT_LOG_LINE_LENGTH = 2_048;
/** How long a diagnosis watches the event loop. */
export const DIAGNOSIS_SAMPLE_MS = 500;

/** One line of `/events`. */
export const MAX_EVENT_LINE_BYTES: number = 64 * 1024;

/** Length of a runner id and of a target name (a DNS label has 63; ids of sandboxes are longer). */
export const MAX_RUNNER_ID_LENGTH = 128;
export const MAX_TARGET_NAME_LENGTH = 63;

/** Length of the `Host` that a target expects: a name of 255 (RFC 1035 §2.3.4), `:` and a port. */
export const MAX_TARGET_HOST_LENGTH = 261;

/** Runners on one connection, targets of one runner: enough for a large host with all its containers. */
export const MAX_RUNNERS_PER_CONNECTION = 256;
export const MAX_TARGETS_PER_RUNNER = 64;

/** A WebSocket carrier message: HTTP/2 frames are written in pieces far below it. */
export const MAX_WEBSOCKET_MESSAGE_BYTES: number = 4 * 1024 * 1024;
/** Pieces of its bytes that wait for the rest: one of its largest in packets of 512 bytes. ws does more work for each as they add up. */
export const MAX_WEBSOCKET_CHUNKS = 8_192;
/** Frames that it may come in: we send one, and a proxy that cuts frames makes them of some KiB. */
export const MAX_WEBSOCKET_FRAGMENTS = 4_096;

/** How long before its expiry a certificate is warned about; a short-lived one, in the last quarter of its lifetime. */
export const EXPIRY_WARNING_MS: number = 24 * 3_600_000;
