/** Runs a task once at a time for each subject. A request during a run causes one further run; a failure is retried. */

/** Between a failure and the retry: Wolf may only be busy, or restart while its agent stays connected. */
const RETRY_BASE_MS = 1_000;
const RETRY_CAP_MS = 60_000;

interface Subject {
  running: Promise<void> | undefined;
  /** Begins after {@link running}, which may have read what was true before the request. */
  next: Promise<void> | undefined;
  failures: number;
  timer: NodeJS.Timeout | undefined;
}

export interface ReconcilerOptions {
  task(id: string): Promise<void>;
  /** Whether a retry makes sense. If not, the subject is requested again when it is back. */
  worthRetrying(id: string): boolean;
  onFailure(id: string, error: unknown): void;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #subjects = new Map<string, Subject>();
  #closed = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Settles with a run that begins after this call. */
  async run(id: string): Promise<void> {
    const subject = this.#subjects.get(id) ?? {
      running: undefined,
      next: undefined,
      failures: 0,
      timer: undefined,
    };
    this.#subjects.set(id, subject);
    if (subject.running === undefined) return this.#begin(id, subject);
    subject.next ??= subject.running
      .catch(() => {})
      .then(() => {
        subject.next = undefined;
        return this.#begin(id, subject);
      });
    return subject.next;
  }

  /** As {@link run}; a failure is reported to `onFailure` only. */
  request(id: string): void {
    this.run(id).catch(() => {});
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#subjects.values()) clearTimeout(timer);
  }

  #begin(id: string, subject: Subject): Promise<void> {
    clearTimeout(subject.timer);
    subject.running = this.#attempt(id, subject).finally(() => {
      subject.running = undefined;
      if (subject.next === undefined && subject.failures === 0) this.#subjects.delete(id);
    });
    return subject.running;
  }

  async #attempt(id: string, subject: Subject): Promise<void> {
    try {
      await this.#options.task(id);
      subject.failures = 0;
    } catch (error) {
      subject.failures += 1;
      this.#options.onFailure(id, error);
      const delayMs = Math.min(RETRY_BASE_MS * 2 ** (subject.failures - 1), RETRY_CAP_MS);
      if (!this.#closed) {
        subject.timer = setTimeout(() => this.#retry(id, subject), delayMs);
        subject.timer.unref();
      }
      throw error;
    }
  }

  #retry(id: string, subject: Subject): void {
    if (subject.running !== undefined) return;
    if (this.#options.worthRetrying(id)) return this.request(id);
    this.#subjects.delete(id);
  }
}
