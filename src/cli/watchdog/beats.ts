/** What the main thread and its watchdog share: the arguments of the thread, and a counter in shared memory. */

/** The main thread counts up this often. Two beats fit between two looks. */
export const BEAT_INTERVAL_MS = 250;
/** The watchdog looks this often. */
export const LOOK_INTERVAL_MS = 500;

/** Index of the counter in {@link WatchdogData.beats}. */
export const BEATS = 0;

export interface WatchdogData {
  /** One Int32: the main thread's beats. */
  beats: SharedArrayBuffer;
  limitMs: number;
  format: "pretty" | "json";
}
