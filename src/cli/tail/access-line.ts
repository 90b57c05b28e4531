/** A line of the access log for people. */
import { formatBytes, formatMs, printable } from "../output/table.ts";

/** As docs/operations.md describes it; a newer control plane may have more members. */
interface AccessLine {
  time?: string;
  way?: string;
  method?: string;
  path?: string;
  status?: number;
  code?: string;
  credential?: string;
  client?: string;
  runner?: string;
  target?: string;
  bytesIn?: number;
  bytesOut?: number;
  queueMs?: number;
  dialMs?: number;
  firstByteMs?: number;
  totalMs?: number;
}

/** `01:47:10.123Z 200 GET /a host-1/web alice 192.0.2.7 in 0 B out 5.1 kB 4.6 ms (queue 0.1 ms, dial 1.3 ms, first byte 4.2 ms)` */
export function describeAccessLine(data: string): string {
  const line = JSON.parse(data) as AccessLine;
  const { code = "ok", way, runner, target } = line;
  const spans = [span("queue", line.queueMs), span("dial", line.dialMs), span("first byte", line.firstByteMs)]
    .filter((text) => text !== "")
    .join(", ");
  const parts = [
    line.time?.slice("yyyy-mm-ddT".length) ?? "-",
    line.status === undefined ? "---" : String(line.status),
    ...(code === "ok" ? [] : [code]),
    line.method ?? way ?? "-",
    line.path ?? "",
    runner === undefined ? "" : `${runner}/${target ?? "-"}`,
    line.credential ?? "-",
    line.client ?? "",
    `in ${formatBytes(line.bytesIn ?? 0)} out ${formatBytes(line.bytesOut ?? 0)}`,
    formatMs(line.totalMs),
    spans === "" ? "" : `(${spans})`,
  ];
  return printable(parts.filter((part) => part !== "").join(" "));
}

function span(name: string, ms: number | undefined): string {
  return ms === undefined ? "" : `${name} ${formatMs(ms)}`;
}
