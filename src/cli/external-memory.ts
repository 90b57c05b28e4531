/**
 * What a relay's garbage costs. Every 64 KiB that are read are a buffer outside the heap; by default V8 starts a full
 * collection for each 64 MiB of them, and each collection walks the whole heap, whose 20 MB have nothing to do with
 * it: half of the CPU of a bulk transfer. Counted as part of the heap's own limits they are collected as seldom as
 * the rest, by scavenges in between; resident memory stays the same (docs/benchmarks.md).
 */
import v8 from "node:v8";

/** The first V8 that knows how far external memory may grow between two collections. */
const V8_WITH_GROWING_FACTOR = 14;
/** Times what is alive, between two full collections. V8's default of 1.3 collects two to three times as often. */
const GROWING_FACTOR = 4;

/** For processes that relay; before they have begun to. */
export function countExternalMemoryAsHeap(): void {
  v8.setFlagsFromString("--external-memory-accounted-in-global-limit");
  if (Number.parseInt(process.versions.v8, 10) < V8_WITH_GROWING_FACTOR) return;
  v8.setFlagsFromString(`--external-memory-max-growing-factor=${GROWING_FACTOR}`);
}
