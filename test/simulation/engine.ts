/**
 * A simulated storage engine: one order of revisions, and to each node a link that is slow, loses requests and responses, applies
 * requests that have been given up, and whose watch has gaps.
 */
import { RevisionConflict } from "../../src/cluster/directory/key-value.ts";
import type { KeyValue, KeyValueEntry, WatchHandlers } from "../../src/cluster/directory/key-value.ts";
import type { Timeline } from "./timeline.ts";

export interface Commit extends KeyValueEntry {
  /** The process that has written it. */
  by: object;
}

/** After which a client gives a request up. */
const REQUEST_MS = 2_000;
/** After which a client that is connected again follows again. */
const RESUME_MS = 300;
/** A gap that is longer is followed by a replay. */
const RESUMABLE_MS = 20_000;

export class Engine {
  readonly timeline: Timeline;
  readonly random: () => number;
  /** The engine is there at all. */
  isUp = true;
  /** Nothing is lost on the links, or late. */
  isReliable = false;
  readonly entries: Map<string, KeyValueEntry> = new Map();
  readonly links: Set<Link> = new Set();
  /** Called before a write takes effect. */
  beforeCommit: (commit: Commit) => void = () => {};
  #revision = 0;

  constructor(timeline: Timeline, random: () => number) {
    this.timeline = timeline;
    this.random = random;
  }

  get revision(): number {
    return this.#revision;
  }

  revisionOf(key: string): number {
    return this.entries.get(key)?.revision ?? 0;
  }

  /** @throws RevisionConflict */
  commit(by: object, key: string, value: string | undefined, expected: number): number {
    const present = this.revisionOf(key);
    if (present !== expected) throw new RevisionConflict(key, present);
    const commit = { by, key, value, revision: this.#revision + 1 };
    this.beforeCommit(commit);
    this.#revision = commit.revision;
    this.entries.delete(key);
    this.entries.set(key, { key, value, revision: commit.revision }); // in the order of revisions
    for (const link of this.links) link.publish();
    return commit.revision;
  }
}

export class Link implements KeyValue {
  readonly #engine: Engine;
  readonly #by: object;
  /** Runs what arrives, unless the process is dead or suspended. */
  readonly #deliver: (run: () => void) => void;
  #isUp = true;
  #isBlind = false;
  #handlers: WatchHandlers | undefined;
  /** The newest revision that was sent to the watch. */
  #sent = 0;
  #deliveredAt = 0;
  /** Since when nothing was sent to the watch. */
  #gapSince: number | undefined;

  constructor(engine: Engine, by: object, deliver: (run: () => void) => void) {
    this.#engine = engine;
    this.#by = by;
    this.#deliver = deliver;
    engine.links.add(this);
  }

  set isUp(isUp: boolean) {
    this.#isUp = isUp;
    this.#followAgain();
  }

  /** Its watch gets nothing, while its requests pass. */
  set isBlind(isBlind: boolean) {
    this.#isBlind = isBlind;
    this.#followAgain();
  }

  get #passes(): boolean {
    return this.#isUp && this.#engine.isUp;
  }

  create(key: string, value: string): Promise<number> {
    return this.#request(() => this.#engine.commit(this.#by, key, value, 0));
  }

  update(key: string, value: string, revision: number): Promise<number> {
    return this.#request(() => this.#engine.commit(this.#by, key, value, revision));
  }

  delete(key: string, revision: number): Promise<number> {
    return this.#request(() => this.#engine.commit(this.#by, key, undefined, revision));
  }

  async forget(key: string, revision: number): Promise<void> {
    await this.#request(() => {
      const entry = this.#engine.entries.get(key);
      if (entry?.value === undefined && entry?.revision === revision) this.#engine.entries.delete(key);
      return 0;
    });
  }

  watch(handlers: WatchHandlers): { close(): void } {
    this.#handlers = handlers;
    this.#gapSince = -Infinity;
    this.#followAgain();
    return { close: () => this.close() };
  }

  close(): void {
    this.#handlers = undefined;
    this.#engine.links.delete(this);
  }

  /** Something was written. */
  publish(): void {
    if (this.#handlers === undefined) return;
    if (!this.#passes || this.#isBlind) this.#gapSince ??= this.#engine.timeline.now;
    else if (this.#gapSince === undefined) this.#sendNew();
  }

  #request(apply: () => number): Promise<number> {
    const { timeline, random } = this.#engine;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    timeline.after(REQUEST_MS, () => this.#deliver(() => reject(new Error("timeout"))));
    const fate = this.#engine.isReliable ? 0.5 : random();
    if (!this.#passes || fate < 0.01) return promise; // lost on the way
    // Some arrive after they have been given up.
    const delayMs = fate < 0.02 ? 2_500 + random() * 3_000 : 1 + random() * 40;
    timeline.after(delayMs, () => {
      if (!this.#engine.isUp) return;
      let respond: () => void;
      try {
        const revision = apply();
        respond = () => resolve(revision);
      } catch (error) {
        respond = () => reject(error);
      }
      if (!this.#isUp || fate > 0.98) return; // the response is lost
      timeline.after(1 + random() * 40, () => this.#deliver(respond));
    });
    return promise;
  }

  #followAgain(): void {
    if (!this.#passes || this.#isBlind) {
      this.#gapSince ??= this.#engine.timeline.now;
      return;
    }
    if (this.#gapSince === undefined) return;
    this.#engine.timeline.after(RESUME_MS * (1 + this.#engine.random()), () => this.#resume());
  }

  #resume(): void {
    const { now } = this.#engine.timeline;
    if (this.#gapSince === undefined || !this.#passes || this.#isBlind) return;
    const isReplay = now - this.#gapSince > RESUMABLE_MS;
    this.#gapSince = undefined;
    if (!isReplay) return this.#sendNew();
    this.#sent = 0;
    this.#send((handlers) => handlers.onReplay());
    this.#sendNew();
    this.#send((handlers) => handlers.onCaughtUp());
  }

  /** In order; what was overwritten meanwhile is left out. */
  #sendNew(): void {
    for (const entry of this.#engine.entries.values()) {
      if (entry.revision <= this.#sent) continue;
      this.#sent = entry.revision;
      this.#send((handlers) => handlers.onEntry(entry));
    }
  }

  #send(give: (handlers: WatchHandlers) => void): void {
    const { timeline, random } = this.#engine;
    this.#deliveredAt = Math.max(this.#deliveredAt, timeline.now + 1 + random() * 30);
    timeline.at(this.#deliveredAt, () =>
      this.#deliver(() => {
        if (this.#handlers !== undefined) give(this.#handlers);
      }),
    );
  }

  /** The engine has gone, or is there again. */
  onEngineChange(): void {
    this.#followAgain();
  }
}
