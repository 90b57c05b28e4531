/** Bounds of upgrades in place, of the control socket and of `--supervise`. */

/** From a successor's start until it listens. A start takes about a second; beyond this the old process goes on. */
export const UPGRADE_LIMIT_MS = 30_000;

/** Clients of the control socket at a time; a further one is closed. One waits for an upgrade, the rest is for mistakes. */
export const MAX_CONTROL_CLIENTS = 8;
/** How long a client of the control socket may take to send its request. */
export const CONTROL_REQUEST_TIMEOUT_MS = 5_000;
/** Longest line on the control socket, each way. */
export const MAX_CONTROL_LINE_BYTES: number = 4 * 1024;

/** How long `systemd-notify` may take. It waits until the manager has read the message. */
export const NOTIFY_TIMEOUT_MS = 5_000;

/** A supervised process that has listened for less than this was a failed start. */
export const MIN_SERVED_MS = 1_000;
/** Failed starts in a row after which the supervisor gives up, so that its own supervisor notices. */
export const MAX_FAILED_STARTS = 5;
/** Pause before the next start after the first failed one; doubled for each further one. */
export const RESTART_DELAY_MS = 100;
/** Longest pause between two starts. */
export const RESTART_DELAY_CAP_MS = 4_000;
