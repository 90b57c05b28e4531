/** A table for a terminal, and values in short forms. */

/** Columns as wide as their widest value; the last one is not padded. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_name, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const lines = all.map((row) =>
    row
      .map((value, column) => (column === row.length - 1 ? value : value.padEnd(widths[column] ?? 0)))
      .join("  "),
  );
  return `${lines.join("\n")}\n`;
}

/** Whatever a peer has named: control characters would write on the operator's terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "\ufffd");
}

/** `12 s`, `5 min`, `3 h`, `2 d`. */
export function formatAge(since: string, nowMs: number = Date.now()): string {
  return formatDuration(Math.max(0, nowMs - Date.parse(since)));
}

export function formatDuration(ms: number): string {
  const s = ms / 1_000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7_200) return `${Math.round(s / 60)} min`;
  if (s < 172_800) return `${Math.round(s / 3_600)} h`;
  return `${Math.round(s / 86_400)} d`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Powers of 1,000: `3.4 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  for (const unit of UNITS) {
    if (value < 1_000 || unit === "TB") return `${unit === "B" ? value : value.toFixed(1)} ${unit}`;
    value /= 1_000;
  }
  return `${bytes} B`;
}

export function formatMs(ms: number | null | undefined): string {
  return ms === null || ms === undefined ? "-" : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
