/** Bounds of tracing, with their reasons. */

/** Most spans that may be set to wait for a collector, by `OTEL_BSP_MAX_QUEUE_SIZE`: some 100 MiB. */
export const MAX_QUEUED_SPANS = 65_536;

/** Characters of an attribute's value: paths are the longest. */
export const MAX_ATTRIBUTE_LENGTH = 2_048;

/** At the end of the process: how long the last spans may take to reach the collector. */
export const TRACE_CLOSE_MS = 2_000;

/** Characters of a collector's error in the log. */
export const MAX_REASON_LENGTH = 200;
