/**
 * Follows a Docker Engine and announces its labelled containers while they run. Events are only hints to look again:
 * they may be late, doubled, out of order or lost, and the list of containers is what counts. Nothing here ends by an
 * error; an engine that is not there is asked again.
 */
import { toError } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import type { Logger } from "../../wire/log.ts";
import { ReportedProblems } from "../../wire/reported-problems.ts";
import { Backoff } from "../backoff.ts";
import {
  DOCKER_BACKOFF_BASE_MS,
  DOCKER_BACKOFF_CAP_MS,
  DOCKER_POLL_INTERVAL_MS,
  DOCKER_POLL_PAUSE_MS,
  DOCKER_SILENT_MS,
  MAX_DOCKER_REASON_LENGTH,
  STABLE_AFTER_MS,
} from "../limits.ts";
import { sleep } from "../sleep.ts";
import type { Runner } from "../targets/targets.ts";
import type { Container } from "./containers.ts";
import type { Engine } from "./docker-engine.ts";
import { planRunners } from "./plan.ts";
import type { PlannedRunner, Problem } from "./plan.ts";

export interface DiscoveryContext {
  open(): Promise<Engine>;
  log: Logger;
  /** Runners that the agent serves without Docker. */
  own(): ReadonlySet<string>;
  /** How many containers may be announced. */
  maxRunners(): number;
  /** Of a runner that is announced already: its targets are others now. */
  add(runner: Runner): void;
  remove(runnerId: string): void;
}

/** Event streams that fail in a row before it is said, once: one ends whenever an engine does. */
const DEAF_AFTER = 3;

const BACKOFF = { baseMs: DOCKER_BACKOFF_BASE_MS, capMs: DOCKER_BACKOFF_CAP_MS };

export class Discovery {
  readonly #context: DiscoveryContext;
  readonly #closing = new AbortController();
  readonly #announced = new Map<string, PlannedRunner>();
  readonly #reported = new ReportedProblems();
  #hinted = false;
  #wake: () => void = () => {};
  #stream: AbortController | undefined;
  #lastAnswerAt = performance.now();
  #isDown: boolean | undefined;
  /** How often in a row the event stream has failed or broken at once. */
  #deafness = 0;
  #running: Promise<void> | undefined;

  /** What the agent makes of an answer throws: the next look comes all the same. */
  readonly #guard = new Guard((error) => {
    this.#context.log.error({ err: error }, "docker: an answer could not be followed");
  });

  constructor(context: DiscoveryContext) {
    this.#context = context;
  }

  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => {
      this.#context.log.error({ err: error }, "docker: no discovery");
    });
  }

  async #run(): Promise<void> {
    const engine = await this.#context.open();
    await Promise.all([this.#look(engine), this.#follow(engine)]);
  }

  /** Stops looking. What is announced stays so: the agent's connections end anyway. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#stream?.abort();
    this.#wake();
    await this.#running;
  }

  /** Something may have changed: look soon. */
  readonly hint = (): void => {
    this.#hinted = true;
    this.#wake();
  };

  async #look(engine: Engine): Promise<void> {
    const backoff = new Backoff(BACKOFF);
    while (!this.#closed) {
      this.#hinted = false;
      try {
        const containers = await engine.list(this.#closing.signal);
        this.#answered();
        this.#apply(containers);
        backoff.reset();
        await sleep(DOCKER_POLL_PAUSE_MS, this.#closing.signal);
        await this.#untilHinted(DOCKER_POLL_INTERVAL_MS);
      } catch (error) {
        if (this.#closed) return;
        this.#guard.run(() => this.#unanswered(toError(error)));
        await sleep(backoff.next(), this.#closing.signal);
      }
    }
  }

  async #follow(engine: Engine): Promise<void> {
    const backoff = new Backoff(BACKOFF);
    while (!this.#closed) {
      const stream = new AbortController();
      this.#stream = stream;
      const startedAt = performance.now();
      let settled: NodeJS.Timeout | undefined;
      const subscribed = (): void => {
        this.hint();
        settled = setTimeout(() => (this.#deafness = 0), DOCKER_POLL_INTERVAL_MS);
      };
      try {
        await engine.follow(stream.signal, { subscribed, hint: this.hint });
      } catch (error) {
        if (!stream.signal.aborted) this.#unheard(toError(error));
      }
      clearTimeout(settled);
      this.hint(); // what its last events would have said
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

  #answered(): void {
    if (this.#isDown !== false) this.#context.log.info({}, "docker: the engine answers");
    this.#isDown = false;
    this.#lastAnswerAt = performance.now();
  }

  #unanswered(error: Error): void {
    if (this.#isDown !== true) {
      this.#context.log.warn({ reason: error.message }, "docker: the engine does not answer; trying again");
      // A stream that seems to live may be one to an engine that is gone.
      this.#stream?.abort();
    }
    this.#isDown = true;
    const silentMs = performance.now() - this.#lastAnswerAt;
    if (silentMs < DOCKER_SILENT_MS || this.#announced.size === 0) return;
    this.#context.log.warn(
      { silentMs: Math.round(silentMs) },
      "docker: the engine stays silent; withdrawing its containers",
    );
    this.#apply([]);
  }

  /** Of an engine that is away the list complains; this is about one that is there. */
  #unheard(error: Error): void {
    if (this.#isDown !== false) return;
    this.#deafness += 1;
    if (this.#deafness !== DEAF_AFTER) return;
    this.#context.log.warn(
      { reason: error.message },
      "docker: no events; looking at the containers now and then",
    );
  }

  #apply(containers: readonly Container[]): void {
    const { runners, problems } = planRunners(containers, {
      own: this.#context.own(),
      announced: new Map([...this.#announced].map(([id, { container }]) => [id, container.id])),
      maxRunners: this.#context.maxRunners(),
    });
    for (const [id, { container }] of this.#announced) {
      if (runners.has(id)) continue;
      this.#announced.delete(id);
      this.#context.remove(id);
      this.#context.log.info({ runner: id, container: container.name }, "docker: container withdrawn");
    }
    for (const [id, planned] of runners) {
      const known = this.#announced.get(id);
      this.#announced.set(id, planned);
      if (JSON.stringify(known?.runner) === JSON.stringify(planned.runner)) continue;
      this.#context.add(planned.runner);
      const targets = planned.runner.targets.map(({ name }) => name);
      this.#context.log.info(
        { runner: id, container: planned.container.name, targets },
        "docker: container announced",
      );
    }
    this.#report(problems);
  }

  /** Once for each; again only after it was gone. */
  #report(problems: readonly Problem[]): void {
    const present = new Set<string>();
    for (const { container, reason } of problems) {
      const short = reason.slice(0, MAX_DOCKER_REASON_LENGTH);
      const subject = `${container} ${short}`;
      present.add(subject);
      if (!this.#reported.isNew(subject, short)) continue;
      this.#context.log.warn({ container, reason: short }, "docker: container not announced");
    }
    this.#reported.retain(present);
  }
}
