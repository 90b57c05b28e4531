/** Applies input in the order in which it came, keys and pointer alike: a click must not overtake what was typed. */
import type { Display } from "../desktop/display.ts";
import { Failure } from "../errors.ts";
import { MAX_KEYS_PER_RUN, MAX_WAITING_INPUT_EVENTS } from "../limits.ts";
import type { Logger } from "../log.ts";
import type { Programs } from "../desktop/programs.ts";
import { isKeyEvent } from "./events.ts";
import type { InputEvent, KeyEvent } from "./events.ts";
import { Keyboard } from "./keyboard.ts";
import { Pointer } from "./pointer.ts";

export type Outcome = "applied" | "unsupported" | "failed";

export interface InjectorOptions {
  programs: Programs;
  display: Display;
  log: Logger;
  /** The desktop may look different now. */
  onChange: () => void;
}

interface Waiting {
  event: InputEvent;
  done: (outcome: Outcome) => void;
}

export class Injector {
  readonly keyboard: Keyboard;
  readonly pointer: Pointer;
  readonly counts: Record<Outcome | "malformed", number> = {
    applied: 0,
    unsupported: 0,
    failed: 0,
    malformed: 0,
  };
  readonly #log: Logger;
  readonly #onChange: () => void;
  readonly #waiting: Waiting[] = [];
  #working = false;

  constructor({ programs, display, log, onChange }: InjectorOptions) {
    this.keyboard = new Keyboard(programs, display);
    this.pointer = new Pointer(display);
    this.#log = log;
    this.#onChange = onChange;
  }

  /** More should not be sent before some of it is done. */
  get isBusy(): boolean {
    return this.#waiting.length >= MAX_WAITING_INPUT_EVENTS;
  }

  /** What became of each event, when they are done. Never rejects. @throws Failure 503 when too many wait already */
  submit(events: readonly InputEvent[]): Promise<Outcome[]> {
    if (this.isBusy) throw new Failure(503, "Too much input");
    return this.#enqueue(events);
  }

  /** A client is about to send input. */
  prepare(): void {
    this.pointer
      .prepare()
      .catch((error: unknown) => this.#log.debug({ err: error }, "virtual pointer not ready yet"));
  }

  /** Releases what a sender holds down. Never refused: nothing else would release it. */
  release(events: readonly InputEvent[]): void {
    void this.#enqueue(events);
  }

  async close(): Promise<void> {
    this.#finish(this.#waiting.splice(0), "failed");
    this.pointer.close();
    await this.keyboard.close();
  }

  #enqueue(events: readonly InputEvent[]): Promise<Outcome[]> {
    const outcomes = events.map(
      (event) => new Promise<Outcome>((done) => void this.#waiting.push({ event, done })),
    );
    if (!this.#working) {
      this.#working = true;
      void this.#work();
    }
    return Promise.all(outcomes);
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#take();
      let outcome: Outcome = "failed";
      try {
        outcome = (await this.#apply(batch.map(({ event }) => event))) ? "applied" : "unsupported";
      } catch (error) {
        this.#log.debug({ err: error }, "input not applied");
      }
      this.#finish(batch, outcome);
    }
    this.#working = false;
  }

  /** Keys that follow each other, or one pointer event. */
  #take(): Waiting[] {
    const other = this.#waiting.findIndex(({ event }) => !isKeyEvent(event));
    const keys = other === -1 ? this.#waiting.length : other;
    return this.#waiting.splice(0, Math.max(1, Math.min(keys, MAX_KEYS_PER_RUN)));
  }

  async #apply(events: readonly InputEvent[]): Promise<boolean> {
    const keys = events.filter((event): event is KeyEvent => isKeyEvent(event));
    if (keys.length > 0) await this.keyboard.type(keys);
    for (const event of events) {
      if (!isKeyEvent(event) && !(await this.pointer.apply(event))) return false;
    }
    // Before the next key, which reaches the compositor on another path, and before the response.
    if (keys.length === 0 && !this.#isPointerNext()) await this.pointer.settle();
    return true;
  }

  #isPointerNext(): boolean {
    const [next] = this.#waiting;
    return next !== undefined && !isKeyEvent(next.event);
  }

  #finish(batch: readonly Waiting[], outcome: Outcome): void {
    this.counts[outcome] += batch.length;
    if (outcome === "applied") this.#onChange();
    for (const { done } of batch) done(outcome);
  }
}
