/** Bounds of the metrics, with their reasons. */

/** Targets with series of their own: about forty lines each of a scrape. Further ones are counted as `other`. */
export const METRICS_MAX_TARGETS = 128;

/** How long the series of a runner that is gone stay: a few scrapes, so that its last requests are not lost. */
export const METRICS_GONE_MS: number = 5 * 60_000;

/** How often, at most, places of runners that are gone are looked for when a further target needs one. */
export const METRICS_SWEEP_MS = 1_000;

/** Streams that a scrape looks at to see what they wait for: a few milliseconds. */
export const METRICS_MAX_STREAMS = 10_000;
