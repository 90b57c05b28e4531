/** What the main thread and its watchdog share: the thread's arguments, and a heartbeat counter in shared memory. */

/** How often the main thread increments the counter: twice between two checks. */
export const HEARTBEAT_INTERVAL_MS = 250;
/** How often the watchdog checks the counter. */
export const CHECK_INTERVAL_MS = 500;

/** Index of the counter in {@link WatchdogData.heartbeats}. */
export const HEARTBEAT_INDEX = 0;

export interface WatchdogData {
  /** One Int32: the main thread's heartbeats. */
  heartbeats: SharedArrayBuffer;
  limitMs: number;
  format: "pretty" | "json";
}
