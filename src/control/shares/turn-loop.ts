/**
 * Jobs that wait for turns of the event loop, in lanes that take turns: one of each lane after another, until the jobs of this
 * turn have taken their time. The others go on in the next one.
 */

/** Something that begins when its turn has come. */
export interface Job {
  /** Must not throw. */
  begin(): void;
}

/** What one holder has waiting, in order. Who adds to it bounds it. */
export interface Lane {
  readonly jobs: Job[];
}

export interface TurnRules<L extends Lane> {
  /** How long the jobs of a turn may take together. The first one may take longer. */
  budgetMs: () => number;
  /** Whether no job begins in this turn. Default: some do. */
  rests?: () => boolean;
  /** Whether a lane may begin one more in this turn, which is counted. Default: it may. */
  takes?: (lane: L) => boolean;
  /** The last job of a lane has begun. */
  onEmpty?: (lane: L) => void;
}

export class TurnLoop<L extends Lane> {
  readonly #rules: TurnRules<L>;
  /** Lanes with waiting jobs, in the order of their next one. */
  readonly #order: L[] = [];
  /** Those that may not begin any more in this turn. */
  readonly #held: L[] = [];
  #turn = 0;
  #isScheduled = false;
  /** When this turn has begun its first job; 0: it has not. */
  #sinceMs = 0;

  constructor(rules: TurnRules<L>) {
    this.#rules = rules;
  }

  /** Number of this turn, as long as they are followed. */
  get turn(): number {
    return this.#turn;
  }

  /** The job waits for a later turn, behind the others of its lane. */
  add(lane: L, job: Job): void {
    if (lane.jobs.push(job) === 1) this.#order.push(lane);
    this.follow();
  }

  /** Notices when the next turn begins. */
  follow(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#begin);
  }

  /** Whether one more job may begin in this turn. The first one may, unless the turn {@link TurnRules.rests}. */
  hasTime(): boolean {
    if (this.#rules.rests?.() === true) return false;
    const nowMs = performance.now();
    if (this.#sinceMs === 0) {
      this.#sinceMs = nowMs;
      return true;
    }
    return nowMs - this.#sinceMs < this.#rules.budgetMs();
  }

  readonly #begin = (): void => {
    this.#isScheduled = false;
    this.#turn += 1;
    this.#sinceMs = 0;
    this.#order.push(...this.#held.splice(0));
    this.#next();
  };

  /** Begins the next job, and then, after all that it has put off within this turn, the one after it. */
  readonly #next = (): void => {
    for (;;) {
      const isOver = this.#order.length > 0 ? !this.hasTime() : this.#held.length > 0;
      if (isOver) return this.follow();
      const lane = this.#order.shift();
      if (lane === undefined) {
        this.#sinceMs = 0; // none waits: the next job has a turn of its own
        return;
      }
      if (this.#rules.takes?.(lane) ?? true) return this.#beginFirst(lane);
      this.#held.push(lane);
    }
  };

  #beginFirst(lane: L): void {
    const job = lane.jobs.shift();
    if (lane.jobs.length > 0) this.#order.push(lane);
    else this.#rules.onEmpty?.(lane);
    job?.begin();
    queueMicrotask(this.#afterMicrotasks);
  }

  readonly #afterMicrotasks = (): void => process.nextTick(this.#next);
}
