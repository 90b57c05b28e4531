/** How many sockets a process may have. */
import { execFileSync } from "node:child_process";

/** Everything else that a process holds open. */
const RESERVE = 200;

/** As many of `wanted` as the limit on open files permits. */
export function affordableSockets(wanted: number): number {
  const text = execFileSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" }).trim();
  const limit = text === "unlimited" ? Infinity : Number(text);
  return Math.min(wanted, limit - RESERVE);
}
