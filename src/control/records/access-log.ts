/** The access log: a line for each request, WebSocket, CONNECT and dial at its end, in a file and for those who read it live. */
import type { Logger } from "../../wire/log.ts";
import { accessLine } from "./access-line.ts";
import { AccessReader } from "./access-reader.ts";
import type { AccessReaderOptions } from "./access-reader.ts";
import { LineFile } from "./line-file.ts";
import { RecentRequests } from "./recent-requests.ts";
import type { RequestRecord } from "./request-record.ts";

export class AccessLog {
  /** Those that have ended last, without a file too. */
  readonly recent: RecentRequests = new RecentRequests();
  readonly #file: LineFile | undefined;
  /** Changes with readers, not with requests. */
  readonly #readers = new Set<AccessReader>();

  readonly #onEnd: (record: RequestRecord) => void;

  /**
   * @param path `-` for standard output; undefined for no file
   * @param onEnd called with each record, whether there is a file or not
   * @throws TurnaboutError `config_invalid`
   */
  constructor(path: string | undefined, log: Logger, onEnd: (record: RequestRecord) => void = () => {}) {
    this.#onEnd = onEnd;
    this.#file = path === undefined ? undefined : new LineFile(path, log);
  }

  /** Lines of the file that were dropped, so far. */
  get droppedLines(): number {
    return this.#file?.droppedLines ?? 0;
  }

  /** Once for each record. */
  end(record: RequestRecord): void {
    record.totalMs = record.elapsedMs;
    const now = Date.now();
    record.endedAtMs = now;
    record.code ??= "aborted";
    record.spans?.end(record);
    this.#onEnd(record);
    if (this.#file !== undefined || this.#readers.size > 0) this.#write(record, now);
    this.recent.add(record);
  }

  #write(record: RequestRecord, now: number): void {
    let line = this.#file === undefined ? undefined : accessLine(record, now);
    if (line !== undefined) this.#file?.write(line);
    if (this.#readers.size === 0) return;
    const format = (): string => (line ??= accessLine(record, now));
    for (const reader of this.#readers) reader.offer(record, format);
  }

  /** From now on, until it is closed. It never delays a request: what it does not read is dropped and counted. */
  subscribe(options: AccessReaderOptions = {}): AccessReader {
    const reader = new AccessReader(options, () => this.#readers.delete(reader));
    this.#readers.add(reader);
    return reader;
  }

  /** The control plane ends, or another process takes over: they may read on there. */
  endReaders(): void {
    for (const reader of this.#readers) reader.close();
  }

  reopen(): void {
    this.#file?.reopen();
  }

  async close(): Promise<void> {
    this.endReaders();
    await this.#file?.close();
  }
}
