/** Figures and moments for people. Digits are grouped and units are short, the same in every view. */

const NUMBER = new Intl.NumberFormat("en");
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DATE_TIME = new Intl.DateTimeFormat("en-GB", {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

export const NOTHING = "–";

export function count(value: number): string {
  return NUMBER.format(value);
}

/** `1 runner`, `5,000 runners`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

export function ms(value: number | null | undefined): string {
  if (value === null || value === undefined) return NOTHING;
  if (value === 0) return "0 ms";
  if (value < 10) return `${value.toFixed(value < 1 ? 2 : 1)} ms`;
  if (value < 1_000) return `${Math.round(value)} ms`;
  if (value < 60_000) return `${(value / 1_000).toFixed(value < 10_000 ? 2 : 1)} s`;
  return span(value);
}

/** `3 s`, `12 min`, `5 h`, `2 d`: how long something has lasted. */
export function span(value: number): string {
  const seconds = Math.max(0, Math.floor(value / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h${minutes % 60 === 0 || hours >= 10 ? "" : ` ${minutes % 60} min`}`;
  return `${Math.floor(hours / 24)} d`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return NOTHING;
  let rest = value;
  let unit = 0;
  while (rest >= 1_000 && unit < UNITS.length - 1) {
    rest /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)} ${UNITS[unit] ?? "B"}`;
}

export function time(at: string | number | Date): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? NOTHING : TIME.format(date);
}

export function dateTime(at: string | number | Date | null | undefined): string {
  if (at === null || at === undefined) return NOTHING;
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? NOTHING : DATE_TIME.format(date);
}

/** How long ago, or how soon. */
export function ago(at: string | number | null | undefined, now: number): string {
  if (at === null || at === undefined) return NOTHING;
  const passed = now - new Date(at).getTime();
  if (Number.isNaN(passed)) return NOTHING;
  if (passed < 0) return `in ${span(-passed)}`;
  return passed < 2_000 ? "now" : `${span(passed)} ago`;
}
