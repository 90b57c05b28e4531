/** Bounds of the demo display. */

/** Helix's port of the sandbox server (`SCREENSHOT_PORT`). */
export const SCREENSHOT_PORT = 9876;

/** Connections at once; all of them get the same picture. */
export const MAX_CONNECTIONS = 1_024;

/** From the start of Sway to its first screenshot: 0.2 s on an idle machine. */
export const DISPLAY_START_TIMEOUT_MS = 10_000;

/** Between two attempts of the first screenshot, after the socket has appeared. */
export const FIRST_CAPTURE_RETRY_MS = 50;

/** One run of grim: 0.05 s at 1280×720. */
export const CAPTURE_TIMEOUT_MS = 10_000;

/** One screenshot; a 4K one has about 1 MB, at worst 33 MB. */
export const MAX_SCREENSHOT_BYTES: number = 64 * 1024 * 1024;

/** From SIGTERM to SIGKILL. */
export const DISPLAY_STOP_TIMEOUT_MS = 2_000;

/** Tail of Sway's log that is kept for the error message if it does not start. */
export const MAX_LOG_TAIL_CHARS = 2_000;
