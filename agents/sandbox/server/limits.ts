/** Every bound of the sandbox server. Nothing waits, queues or grows without one of these. */

/** Helix's port of the sandbox server (`SCREENSHOT_PORT`). */
export const SCREENSHOT_PORT = 9876;

/** Connections at once: the agent's pool, not the number of viewers. */
export const MAX_CONNECTIONS = 1_024;

/** An idle connection is kept longer than any pool keeps it, so that no request meets a connection that is closing. */
export const KEEP_ALIVE_MS = 75_000;

/** A whole request, bodies included: 500 MB at 1.2 Mbit/s. Node's default of 5 minutes would cut slow uploads. */
export const REQUEST_TIMEOUT_MS = 3_600_000;

/** A request body of which nothing comes any more. */
export const BODY_IDLE_MS = 30_000;

/** Requests under way when the server shuts down. */
export const CLOSE_TIMEOUT_MS = 2_000;

/** A refused request's body is read on for so long and so far: unread bytes turn our close into a reset, which
 * overtakes the response. */
export const REFUSED_BODY_MS = 2_000;
export const MAX_REFUSED_BODY_BYTES: number = 64 * 1024 * 1024;

/** From SIGTERM to SIGKILL for a program of ours. */
export const PROGRAM_STOP_TIMEOUT_MS = 1_000;

/** What is kept of a program's complaints. */
export const MAX_COMPLAINT_BYTES: number = 4 * 1024;

/** One run of grim: 0.02 s at 1280×720, 0.3 s at 4K. */
export const CAPTURE_TIMEOUT_MS = 5_000;

/** One picture: 8K as PPM has 100 MB. */
export const MAX_PICTURE_BYTES: number = 128 * 1024 * 1024;

/** Under a crowd a frame is shared for so long, and the next capture begins no earlier: at most two a second. */
export const FRAME_INTERVAL_MS = 500;

/** Requests within a second up to which each gets a fresh frame: a lone viewer, or two. More are a crowd. */
export const LONE_REQUESTS_PER_SECOND = 4;

/** Helix's default since JPEG is the default. */
export const JPEG_QUALITY = 70;

/** zlib's level for PNG: at 1080p 22 ms of a core and smaller than grim's own; the default of 6 takes 35 ms for 4 % less. */
export const PNG_LEVEL = 3;

/** Encoding is the work of a whole core. */
export const MAX_ENCODINGS = 2;

/** Callers that wait for an encoding; more get 503. */
export const MAX_WAITING_ENCODINGS = 512;

/** A clipboard request's body, and the content of a selection. Pictures of whole 4K screens have 1 to 30 MB. */
export const MAX_CLIPBOARD_BYTES: number = 64 * 1024 * 1024;

/** Helix's limit for a selection whose owner does not respond. */
export const CLIPBOARD_TYPES_TIMEOUT_MS = 2_000;

/** The content itself, from an owner that responds. */
export const CLIPBOARD_DATA_TIMEOUT_MS = 10_000;

/** Clipboard requests at once: each may hold {@link MAX_CLIPBOARD_BYTES} a few times over. */
export const MAX_CLIPBOARD_REQUESTS = 4;
export const MAX_WAITING_CLIPBOARD_REQUESTS = 64;

/** Listeners on `/ws/clipboard`, and senders on `/ws/input`. */
export const MAX_WEBSOCKETS = 256;

/** A listener that has more than this untaken when the next content comes is too slow. */
export const MAX_UNTAKEN_BYTES: number = 8 * 1024 * 1024;

/** A changed clipboard that cannot be read, for instance because it changes again, is tried so often. */
export const PUSH_READ_ATTEMPTS = 5;
export const PUSH_READ_PAUSE_MS = 100;

/** What a client may send us on a WebSocket in one message; input messages have 11 bytes. */
export const MAX_WEBSOCKET_MESSAGE_BYTES: number = 64 * 1024;

/** As Helix's `/ws/stream`: a ping every 5 s, and the end after 30 s without a pong. */
export const PING_INTERVAL_MS = 5_000;
export const PONG_DEADLINE_MS = 30_000;

/** From our close frame to the end of the connection, for a peer that does not take it. */
export const WEBSOCKET_CLOSE_TIMEOUT_MS = 5_000;

/** Between two starts of `wl-paste --watch`, doubled up to the maximum while it keeps failing. */
export const WATCH_RESTART_MIN_MS = 250;
export const WATCH_RESTART_MAX_MS = 5_000;

/** `POST /input`. */
export const MAX_INPUT_BYTES: number = 1024 * 1024;
export const MAX_INPUT_EVENTS = 1_000;

/** Input events that wait; above it a WebSocket is not read on, and `POST /input` gets 503. */
export const MAX_WAITING_INPUT_EVENTS = 2_048;

/** Keys and buttons that one sender can hold down: more than there are fingers. */
export const MAX_HELD_PER_SENDER = 64;

/** Keys in one run of wtype, which types one in 7 ms. */
export const MAX_KEYS_PER_RUN = 64;
export const KEYS_TIMEOUT_MS = 5_000;

/**
 * Where the seat had no keyboard or no pointer, applications must take up the new one before they get its events, and
 * nothing tells when they have.
 */
export const FIRST_INPUT_DELAY_MS = 50;

/** Connect and handshake of the Wayland connection for the pointer. */
export const WAYLAND_TIMEOUT_MS = 3_000;

/** Messages of the compositor to us are small; a larger one means that we lost the frame. */
export const MAX_WAYLAND_MESSAGE_BYTES: number = 64 * 1024;

/** `POST /exec`: Helix's default time limit, and the largest that a caller may ask for. */
export const EXEC_TIMEOUT_MS = 30_000;
export const MAX_EXEC_TIMEOUT_MS = 300_000;
export const MAX_EXEC_BYTES: number = 256 * 1024;
export const MAX_EXEC_OUTPUT_BYTES: number = 1024 * 1024;
export const MAX_EXECS = 8;
export const MAX_WAITING_EXECS = 32;
export const MAX_BACKGROUND_PROGRAMS = 32;

/** `POST /upload`: Helix's limit. */
export const MAX_UPLOAD_BYTES: number = 500 * 1024 * 1024;

/** Boundaries, field headers and other small fields around the file. */
export const MAX_UPLOAD_OVERHEAD_BYTES: number = 64 * 1024;

export const MAX_UPLOADS = 8;
export const MAX_WAITING_UPLOADS = 32;

/** A file name in bytes, with room for ` (999)` within the 255 of a Linux file name. */
export const MAX_FILENAME_BYTES = 240;
