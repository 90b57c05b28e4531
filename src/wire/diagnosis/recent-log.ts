/** The last lines of a log, from `info` up, for a diagnosis. */
import { RECENT_LOG_LINE_LENGTH, RECENT_LOG_LINES } from "../limits.ts";
import { guardedLogger, silentLogger } from "../log.ts";
import type { Logger } from "../log.ts";
import { Guard } from "../streams/guard.ts";

export interface RecentLine {
  time: string;
  level: "info" | "warn" | "error";
  message: string;
  fields: unknown;
}

interface KeptLine extends Omit<RecentLine, "time" | "fields"> {
  atMs: number;
  /** JSON, cut off at a bound. */
  fields: string;
}

/** A logger that passes lines on, and keeps the last ones. */
export class RecentLog implements Logger {
  readonly #inner: Logger;
  readonly #guard = new Guard(() => {}); // fields that cannot be written are not kept
  readonly #kept: KeptLine[] = [];
  /** Where the next line goes when all places are taken. */
  #next = 0;

  constructor(inner: Logger) {
    this.#inner = inner;
  }

  /** The logger itself if it keeps lines already: those that others have written to it are then among them. */
  static of(log: Logger = silentLogger): RecentLog {
    return log instanceof RecentLog ? log : new RecentLog(guardedLogger(log));
  }

  debug(fields: object, message: string): void {
    this.#inner.debug(fields, message);
  }

  info(fields: object, message: string): void {
    this.#keep("info", fields, message);
    this.#inner.info(fields, message);
  }

  warn(fields: object, message: string): void {
    this.#keep("warn", fields, message);
    this.#inner.warn(fields, message);
  }

  error(fields: object, message: string): void {
    this.#keep("error", fields, message);
    this.#inner.error(fields, message);
  }

  /** The oldest first. */
  lines(): RecentLine[] {
    const inOrder = [...this.#kept.slice(this.#next), ...this.#kept.slice(0, this.#next)];
    return inOrder.map(({ atMs, level, message, fields }) => ({
      time: new Date(atMs).toISOString(),
      level,
      message,
      fields: parsed(fields),
    }));
  }

  #keep(level: RecentLine["level"], fields: object, message: string): void {
    this.#guard.run(() => {
      const line = { atMs: Date.now(), level, message, fields: textOf(fields) };
      if (this.#kept.length < RECENT_LOG_LINES) {
        this.#kept.push(line);
        return;
      }
      this.#kept[this.#next] = line;
      this.#next = (this.#next + 1) % RECENT_LOG_LINES;
    });
  }
}

function textOf(fields: object): string {
  const text = JSON.stringify(fields, (_name, value: unknown) =>
    value instanceof Error ? { name: value.name, message: value.message, stack: value.stack } : value,
  );
  return text.length > RECENT_LOG_LINE_LENGTH ? text.slice(0, RECENT_LOG_LINE_LENGTH) : text;
}

/** A line that was cut off is a text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
