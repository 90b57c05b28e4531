/**
 * Follows a Docker Engine and announces its labelled containers while they run. An event is only a hint to request the
 * list of containers again: events may be late, repeated, out of order or lost. No error ends the discovery; it retries
 * an engine that is down.
 */
import { toError } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import type { Logger } from "../../wire/log.ts";
import { LimitedLog } from "../../wire/limited-log.ts";
import { ReportedProblems } from "../../wire/reported-problems.ts";
import { TokenBucket } from "../../wire/token-bucket.ts";
import { Durations } from "../../metrics/durations.ts";
import { Backoff } from "../backoff.ts";
import {
  DOCKER_BACKOFF_BASE_MS,
  DOCKER_BACKOFF_CAP_MS,
  DOCKER_CHANGES_BURST,
  DOCKER_CHANGES_PER_S,
  DOCKER_LINES_PER_MINUTE,
  DOCKER_POLL_INTERVAL_MS,
  DOCKER_POLL_PAUSE_MS,
  DOCKER_SILENT_MS,
  MAX_DOCKER_REASON_LENGTH,
  STABLE_AFTER_MS,
} from "../limits.ts";
import type { DiscoveryFigures } from "../metrics.ts";
import { sleep } from "../sleep.ts";
import type { Runner } from "../targets/targets.ts";
import type { ContainerList, Problem } from "./containers.ts";
import type { Engine } from "./docker-engine.ts";
import { planRunners } from "./plan.ts";
import type { PlannedRunner } from "./plan.ts";

export interface DiscoveryContext {
  engine: Engine;
  log: Logger;
  /** Runners that the agent serves without Docker. */
  own(): ReadonlySet<string>;
  /** How many runners may be announced. */
  maxRunners(): number;
  /** Containers in the host's network are announced too. */
  hostNetwork: boolean;
  /** Also for a runner that is announced already and whose targets have changed. */
  add(runner: Runner): void;
  remove(runnerId: string): void;
}

/** Consecutive failures of the event stream before a warning: a single one is normal when an engine restarts. */
const EVENT_FAILURES_BEFORE_WARNING = 3;

const BACKOFF = { baseMs: DOCKER_BACKOFF_BASE_MS, capMs: DOCKER_BACKOFF_CAP_MS };

export class Discovery {
  readonly #context: DiscoveryContext;
  readonly #closing = new AbortController();
  readonly #announced = new Map<string, PlannedRunner>();
  readonly #reported = new ReportedProblems();
  /** For the metrics. */
  readonly figures: DiscoveryFigures = {
    isUp: undefined,
    announced: 0,
    refused: 0,
    changes: { announced: 0, withdrawn: 0 },
    failures: { list: 0, events: 0 },
    lists: new Durations(),
  };
  readonly #log: LimitedLog;
  readonly #changes = new TokenBucket({ burst: DOCKER_CHANGES_BURST, perS: DOCKER_CHANGES_PER_S });
  #hinted = false;
  #wake: () => void = () => {};
  #stream: AbortController | undefined;
  #respondedAtMs = performance.now();
  #isDown: boolean | undefined;
  /** Consecutive failures of the event stream. */
  #eventFailures = 0;
  #running: Promise<void> | undefined;

  /** Errors of the agent's handlers do not end the discovery. */
  readonly #guard = new Guard((error) => {
    this.#context.log.error({ err: error }, "docker: a failed request could not be handled");
  });

  constructor(context: DiscoveryContext) {
    this.#context = context;
    this.#log = new LimitedLog(context.log, DOCKER_LINES_PER_MINUTE);
  }

  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => {
      this.#context.log.error({ err: error }, "docker: discovery has ended");
    });
  }

  async #run(): Promise<void> {
    const { engine } = this.#context;
    await Promise.all([this.#pollList(engine), this.#followEvents(engine)]);
  }

  /** Stops. Announced runners stay so: the agent's connections end anyway. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#stream?.abort();
    this.#wake();
    await this.#running;
  }

  /** Something may have changed: the list is requested soon. */
  readonly hint = (): void => {
    this.#hinted = true;
    this.#wake();
  };

  async #pollList(engine: Engine): Promise<void> {
    const backoff = new Backoff(BACKOFF);
    while (!this.#closed) {
      this.#hinted = false;
      try {
        const startedAt = performance.now();
        const list = await engine.list(this.#closing.signal);
        this.figures.lists.observeMs(performance.now() - startedAt);
        this.#reportUp();
        this.#apply(list);
        backoff.reset();
        await sleep(DOCKER_POLL_PAUSE_MS, this.#closing.signal);
        await this.#untilHinted(DOCKER_POLL_INTERVAL_MS);
      } catch (error) {
        if (this.#closed) return;
        this.#guard.run(() => this.#reportDown(toError(error)));
        await sleep(backoff.next(), this.#closing.signal);
      }
    }
  }

  async #followEvents(engine: Engine): Promise<void> {
    const backoff = new Backoff(BACKOFF);
    while (!this.#closed) {
      const stream = new AbortController();
      this.#stream = stream;
      const startedAt = performance.now();
      let stable: NodeJS.Timeout | undefined;
      const subscribed = (): void => {
        this.hint();
        stable = setTimeout(() => (this.#eventFailures = 0), DOCKER_POLL_INTERVAL_MS);
      };
      try {
        await engine.follow(stream.signal, { subscribed, hint: this.hint });
      } catch (error) {
        if (!stream.signal.aborted) {
          this.figures.failures.events += 1;
          this.#reportEventFailure(toError(error));
        }
      }
      clearTimeout(stable);
      this.hint(); // its last events may be lost
      if (performance.now() - startedAt >= STABLE_AFTER_MS) backoff.reset();
      await sleep(backoff.next(), this.#closing.signal);
    }
  }

  async #untilHinted(maxMs: number): Promise<void> {
    if (this.#hinted || this.#closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, maxMs);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  #reportUp(): void {
    if (this.#isDown !== false) this.#context.log.info({}, "docker: the engine responds");
    this.#isDown = false;
    this.figures.isUp = true;
    this.#respondedAtMs = performance.now();
  }

  #reportDown(error: Error): void {
    if (this.#isDown !== true) {
      this.#context.log.warn({ reason: error.message }, "docker: the engine does not respond; trying again");
      // The event stream may seem open although the engine is gone.
      this.#stream?.abort();
    }
    this.#isDown = true;
    this.figures.isUp = false;
    this.figures.failures.list += 1;
    const silentMs = performance.now() - this.#respondedAtMs;
    if (silentMs < DOCKER_SILENT_MS || this.#announced.size === 0) return;
    this.#context.log.warn(
      { silentMs: Math.round(silentMs) },
      "docker: the engine still does not respond; withdrawing its containers",
    );
    this.#apply({ containers: [], problems: [] });
  }

  /** Only while the list succeeds: otherwise {@link #reportDown} has warned. */
  #reportEventFailure(error: Error): void {
    if (this.#isDown !== false) return;
    this.#eventFailures += 1;
    if (this.#eventFailures !== EVENT_FAILURES_BEFORE_WARNING) return;
    this.#context.log.warn(
      { reason: error.message },
      "docker: no events; requesting the list of containers at intervals instead",
    );
  }

  #apply({ containers, problems: unread }: ContainerList): void {
    const { runners, problems } = planRunners(containers, {
      own: this.#context.own(),
      announced: new Map([...this.#announced].map(([id, { container }]) => [id, container.id])),
      maxRunners: this.#context.maxRunners(),
      hostNetwork: this.#context.hostNetwork,
    });
    for (const [id, known] of this.#announced) if (!runners.has(id)) this.#withdraw(id, known);
    for (const [id, planned] of runners) {
      const known = this.#announced.get(id);
      const isSame = JSON.stringify(known?.runner) === JSON.stringify(planned.runner);
      if (!isSame && !this.#changes.take()) {
        // It is announced with a later list. Its former address may belong to another container by now.
        if (known !== undefined) this.#withdraw(id, known);
        continue;
      }
      this.#announced.set(id, planned);
      if (isSame) continue;
      if (known === undefined) this.figures.changes.announced += 1;
      this.#context.add(planned.runner);
      const targets = planned.runner.targets.map(({ name }) => name);
      this.#log.info(
        { runner: id, container: planned.container.name, targets },
        "docker: container announced",
      );
    }
    this.figures.announced = this.#announced.size;
    this.figures.refused = unread.length + problems.length;
    this.#report([...unread, ...problems]);
  }

  #withdraw(id: string, { container }: PlannedRunner): void {
    this.#announced.delete(id);
    this.figures.changes.withdrawn += 1;
    this.#context.remove(id);
    this.#log.info({ runner: id, container: container.name }, "docker: container withdrawn");
  }

  /** Each problem once; again only if it comes back. */
  #report(problems: readonly Problem[]): void {
    const present = new Set<string>();
    for (const { container, reason } of problems) {
      const short = reason.slice(0, MAX_DOCKER_REASON_LENGTH);
      const subject = `${container} ${short}`;
      present.add(subject);
      if (!this.#reported.isNew(subject, short)) continue;
      this.#log.warn({ container, reason: short }, "docker: container not announced");
    }
    this.#reported.retain(present);
  }
}
