/**
 * V8 flags for processes that copy bulk data. Every 64 KiB read is a buffer outside the heap. By default V8 starts a full
 * garbage collection for each 64 MiB of them, which walks the whole heap and takes half of the CPU of a bulk transfer. If
 * they count as part of the heap's own limits, scavenges free most of them, and full collections are as rare as without
 * them; resident memory stays the same (docs/benchmarks.md).
 */
import v8 from "node:v8";

/** The first V8 with `--external-memory-max-growing-factor`. */
const V8_WITH_GROWING_FACTOR = 14;
/** Growth between two full collections, as a multiple of live memory. V8's default of 1.3 collects two to three times as often. */
const GROWING_FACTOR = 4;

/** Call it before the process copies data. */
export function countExternalMemoryAsHeap(): void {
  v8.setFlagsFromString("--external-memory-accounted-in-global-limit");
  if (Number.parseInt(process.versions.v8, 10) < V8_WITH_GROWING_FACTOR) return;
  v8.setFlagsFromString(`--external-memory-max-growing-factor=${GROWING_FACTOR}`);
}
