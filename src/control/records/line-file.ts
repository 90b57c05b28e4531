/**
 * Lines on their way to a file or a pipe: collected in buffers, one write at a time, never waited for. What does not fit into the
 * buffers is dropped and counted, and so is what cannot be written: a full disk or a reader that is stuck stops nothing.
 */
import fs from "node:fs";
import { errorCodeOf, TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { systemErrorHint, systemErrorText } from "../../wire/system/system-errors.ts";
import {
  ACCESS_LOG_BUFFER_BYTES,
  ACCESS_LOG_CLOSE_MS,
  ACCESS_LOG_MAX_BUFFERS,
  ACCESS_LOG_PROBLEM_INTERVAL_MS,
  ACCESS_LOG_WRITE_MS,
} from "./limits.ts";

/** As a path: standard output. */
export const STANDARD_OUTPUT = "-";
const STDOUT_FD = 1;
/** Its user only: it has the names of credentials. */
const FILE_MODE = 0o600;
const LINE_END = 0x0a;
/** Most bytes that a character of a line takes. */
const BYTES_PER_CHARACTER = 3;

interface Chunk {
  readonly bytes: Buffer;
  used: number;
  written: number;
}

export class LineFile {
  readonly path: string;
  readonly #log: Logger;
  #fd: number;
  #current: Chunk = newChunk();
  #waiting: Chunk[] = [];
  #spare: Chunk | undefined;
  #isWriting = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;
  /** The last write has left a line unfinished. */
  #isTorn = false;
  #dropped = 0;
  #reportedAt = -Infinity;
  #isLosing = false;
  #onIdle: (() => void) | undefined;

  /** @throws TurnaboutError `config_invalid` if it cannot be opened */
  constructor(path: string, log: Logger) {
    this.path = path;
    this.#log = log;
    try {
      this.#fd = open(path);
    } catch (cause) {
      const what = systemErrorText(cause) ?? String(cause);
      throw new TurnaboutError("config_invalid", `access log ${path}: cannot be opened: ${what}`, {
        cause,
        hint: systemErrorHint(cause, "directory") ?? "check the path",
      });
    }
  }

  /** Lines that were not written, so far. */
  get droppedLines(): number {
    return this.#dropped;
  }

  /** @param line with its end */
  write(line: string): void {
    if (this.#current.used + line.length * BYTES_PER_CHARACTER > ACCESS_LOG_BUFFER_BYTES && !this.#rotate()) {
      this.#drop(1, "the lines before are not written yet");
      return;
    }
    this.#current.used += this.#current.bytes.write(line, this.#current.used);
    this.#timer ??= setTimeout(this.#onTime, ACCESS_LOG_WRITE_MS).unref();
  }

  /** Opens the path again: a log rotation has moved the file away. If that fails, the former file stays in use. */
  reopen(): void {
    if (this.path === STANDARD_OUTPUT) return;
    try {
      const former = this.#fd;
      this.#fd = open(this.path);
      // A write that is under way has the descriptor: it must not become another file's meanwhile.
      this.#whenIdle(() => fs.close(former, () => {}));
      this.#log.info({ path: this.path }, "access log opened again");
    } catch (error) {
      const reason = systemErrorText(error) ?? String(error);
      this.#log.error(
        { path: this.path, reason },
        "access log: cannot be opened again; the former file stays in use",
      );
    }
  }

  /** Writes what waits, as far as that takes no longer than {@link ACCESS_LOG_CLOSE_MS}. */
  async flushed(): Promise<void> {
    this.#flush();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ACCESS_LOG_CLOSE_MS);
    this.#whenIdle(resolve);
    await promise;
    clearTimeout(timer);
  }

  /** The same, and no more. */
  async close(): Promise<void> {
    await this.flushed();
    this.#isClosed = true;
    clearTimeout(this.#timer);
    if (this.path !== STANDARD_OUTPUT && !this.#isWriting) fs.close(this.#fd, () => {});
  }

  readonly #onTime = (): void => {
    this.#timer = undefined;
    this.#flush();
  };

  readonly #onRetry = (): void => this.#next();

  #flush(): void {
    if (this.#current.used > 0) this.#rotate();
    this.#next();
  }

  /** Puts the current buffer behind those that wait. False if there are too many. */
  #rotate(): boolean {
    if (this.#waiting.length >= ACCESS_LOG_MAX_BUFFERS) return false;
    this.#waiting.push(this.#current);
    this.#current = this.#spare ?? newChunk();
    this.#spare = undefined;
    this.#next();
    return true;
  }

  #next(): void {
    if (this.#isWriting || this.#isClosed) return;
    const [chunk] = this.#waiting;
    if (chunk === undefined) {
      const done = this.#onIdle;
      this.#onIdle = undefined;
      return done?.();
    }
    this.#isWriting = true;
    const { bytes, written, used } = chunk;
    const done = (error: NodeJS.ErrnoException | null, count: number): void =>
      this.#wrote(chunk, error, count);
    if (this.#isTorn) fs.write(this.#fd, "\n", (error) => this.#mended(error));
    else fs.write(this.#fd, bytes, written, used - written, null, done);
  }

  /** The line that was broken off has an end, and the next one begins a line of its own. */
  #mended(error: NodeJS.ErrnoException | null): void {
    this.#isWriting = false;
    if (error === null) this.#isTorn = false;
    else if (isBusy(error)) return this.#later();
    else this.#discard(this.#waiting[0], error);
    this.#next();
  }

  #wrote(chunk: Chunk, error: NodeJS.ErrnoException | null, count: number): void {
    this.#isWriting = false;
    if (error !== null && isBusy(error)) return this.#later();
    if (error !== null) this.#discard(chunk, error);
    else {
      chunk.written += count;
      if (chunk.written === chunk.used) {
        this.#take(chunk);
        this.#recovered();
      }
    }
    this.#next();
  }

  /** Its reader is behind. */
  #later(): void {
    setTimeout(this.#onRetry, ACCESS_LOG_WRITE_MS).unref();
  }

  #discard(chunk: Chunk | undefined, error: Error): void {
    if (chunk === undefined) return;
    const { bytes, written, used } = chunk;
    this.#isTorn ||= written > 0 && bytes[written - 1] !== LINE_END;
    let lines = 0;
    for (
      let at = bytes.indexOf(LINE_END, written);
      at >= 0 && at < used;
      at = bytes.indexOf(LINE_END, at + 1)
    )
      lines += 1;
    this.#take(chunk);
    this.#drop(lines, systemErrorText(error) ?? errorCodeOf(error) ?? error.message);
  }

  /** Takes a buffer out of the queue; one is kept for the next lines. */
  #take(chunk: Chunk): void {
    this.#waiting.shift();
    chunk.used = 0;
    chunk.written = 0;
    this.#spare ??= chunk;
  }

  #drop(lines: number, reason: string): void {
    this.#dropped += lines;
    this.#isLosing = true;
    const now = performance.now();
    if (now - this.#reportedAt < ACCESS_LOG_PROBLEM_INTERVAL_MS) return;
    this.#reportedAt = now;
    this.#log.warn({ path: this.path, reason, dropped: this.#dropped }, "access log: lines are dropped");
  }

  #recovered(): void {
    if (!this.#isLosing || this.#waiting.length > 0) return;
    this.#isLosing = false;
    this.#reportedAt = -Infinity;
    this.#log.info({ path: this.path, dropped: this.#dropped }, "access log: lines are written again");
  }

  #whenIdle(done: () => void): void {
    if (!this.#isWriting && this.#waiting.length === 0) return done();
    const before = this.#onIdle;
    const after = (): void => {
      before?.();
      done();
    };
    this.#onIdle = after;
  }
}

function newChunk(): Chunk {
  return { bytes: Buffer.allocUnsafeSlow(ACCESS_LOG_BUFFER_BYTES), used: 0, written: 0 };
}

/**
 * Not blocking: a write that blocks keeps a thread of the pool, and the process from ending. Node makes a pipe or a socket at
 * standard output so when its stream is first used.
 */
function open(path: string): number {
  if (path === STANDARD_OUTPUT) {
    process.stdout.on("error", () => {}); // permanent
    return STDOUT_FD;
  }
  const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = fs.constants;
  return fs.openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, FILE_MODE);
}

function isBusy({ code }: NodeJS.ErrnoException): boolean {
  return code === "EAGAIN" || code === "EINTR";
}
