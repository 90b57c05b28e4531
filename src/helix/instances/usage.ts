/** How full an instance's disks and GPUs are, and when that is worth a word. */
import { MAX_FIGURE_AGE_MS } from "../limits.ts";
import type { Instance } from "../store/instances.ts";
import type { AlertLevel, GpuUsage } from "../store/usage.ts";

/** In percent used: of a disk, and of a GPU's memory. */
const WARNING_PERCENT = 80;
const CRITICAL_PERCENT = 95;

type Percent = number | null | undefined;

export function alertLevel(usedPercent: Percent): AlertLevel {
  if (usedPercent === null || usedPercent === undefined) return "ok"; // no figure says that it is full
  if (usedPercent >= CRITICAL_PERCENT) return "critical";
  return usedPercent >= WARNING_PERCENT ? "warning" : "ok";
}

/** Memory alone: a GPU that is busy all the time still encodes, one without memory starts nothing new. */
export function gpuAlertLevel({ used_percent }: GpuUsage): AlertLevel {
  return alertLevel(used_percent);
}

/** The fullest decides. Undefined if none reports how full it is. */
export function fullest<Usage extends { used_percent: Percent }>(usage: readonly Usage[]): Usage | undefined {
  let found: Usage | undefined;
  for (const one of usage) {
    if (typeof one.used_percent !== "number") continue;
    if (found === undefined || one.used_percent > (found.used_percent ?? 0)) found = one;
  }
  return found;
}

export function rises(from: AlertLevel, to: AlertLevel): boolean {
  return LEVELS.indexOf(to) > LEVELS.indexOf(from);
}
const LEVELS: readonly AlertLevel[] = ["ok", "warning", "critical"];

/** Whether figures of that time still say something. */
export function isCurrent(reportedAtMs: number | undefined, nowMs: number): boolean {
  // Both ways: a clock that was set back must not keep them permanently.
  return reportedAtMs !== undefined && Math.abs(nowMs - reportedAtMs) <= MAX_FIGURE_AGE_MS;
}

/** A disk or a GPU's memory is all but full, as far as is known. */
export function isNearlyFull(
  { diskAlert, diskReportedAtMs, gpuAlert, gpusReportedAtMs }: Instance,
  nowMs: number,
): boolean {
  return (
    (diskAlert === "critical" && isCurrent(diskReportedAtMs, nowMs)) ||
    (gpuAlert === "critical" && isCurrent(gpusReportedAtMs, nowMs))
  );
}
