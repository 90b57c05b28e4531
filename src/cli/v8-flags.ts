/**
 * V8 flags for processes that carry many requests or much data.
 *
 * Every 64 KiB read is a buffer outside the heap. By default V8 starts a full garbage collection for each 64 MiB of them, which
 * walks the whole heap and takes half of the CPU of a bulk transfer. If they count as part of the heap's own limits, scavenges
 * free most of them, and full collections are as rare as without them; resident memory stays the same (docs/benchmarks.md).
 *
 * V8 sizes the heap's room until the next full collection by how fast collections have been. After mixed load that room is a few
 * megabytes, and bulk causes a full collection every 100 ms, which costs more than the transfer. So the room is a fixed multiple.
 *
 * V8 also notes which places in the code make objects that stay, and makes their next ones in the old generation, permanently.
 * A burst of requests that are in flight while it collects is enough for that. From then on each request leaves its objects
 * there until the next full collection.
 */
import v8 from "node:v8";

/** The first V8 with `--external-memory-max-growing-factor`. */
const V8_WITH_GROWING_FACTOR = 14;
/** Growth between two full collections, as a multiple of live memory. V8's default of 1.3 collects two to three times as often. */
const GROWING_FACTOR = 4;
/** How much the heap may grow between two full collections, in per cent of what lives. V8's own is 10 to 300. */
const HEAP_GROWING_PERCENT = 200;

/** Call it before the process does anything else: code that has been compiled keeps the flags of that time. */
export function setV8Flags(): void {
  v8.setFlagsFromString("--no-allocation-site-pretenuring");
  v8.setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  v8.setFlagsFromString("--external-memory-accounted-in-global-limit");
  if (Number.parseInt(process.versions.v8, 10) < V8_WITH_GROWING_FACTOR) return;
  v8.setFlagsFromString(`--external-memory-max-growing-factor=${GROWING_FACTOR}`);
}
