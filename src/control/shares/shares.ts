/**
 * Places that many holders share: counted for each, given back exactly once, bounded for each and in total. However many
 * places one holder wants, another finds room: see {@link shareLeft}.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import { isOperator, SELF } from "./holders.ts";
import { FREE_SHARE, MAX_ZERO_COUNTS, OPERATOR_FREE_SHARE, TARGET_STREAMS_PER_HOLDER } from "./limits.ts";

/** Gives a place back. Further calls have no effect. */
export type Release = () => void;

/** Counts by key. */
export class Counts {
  readonly #counts = new Map<string, number>();
  /** Keys whose count is 0. They stay for a while: most are soon used again, and a Map that changes costs more. */
  #zeros = 0;

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  /** Counts one for each key. */
  take(keys: readonly string[]): Release {
    for (const key of keys) this.#add(key);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      for (const key of keys) this.#subtract(key);
    };
  }

  #add(key: string): void {
    const count = this.#counts.get(key);
    if (count === 0) this.#zeros -= 1;
    this.#counts.set(key, (count ?? 0) + 1);
  }

  #subtract(key: string): void {
    const count = this.of(key) - 1;
    this.#counts.set(key, count);
    if (count > 0) return;
    this.#zeros += 1;
    if (this.#zeros > MAX_ZERO_COUNTS && this.#zeros > this.#counts.size / 2) this.#forgetZeros();
  }

  #forgetZeros(): void {
    for (const [key, count] of this.#counts) if (count === 0) this.#counts.delete(key);
    this.#zeros = 0;
  }
}

/**
 * How many more places a holder may take: as long as it has less than {@link FREE_SHARE} times what is free, which shrinks
 * as it takes them (the dynamic threshold of Choudhury and Hahne, as for the buffers of a switch).
 */
export function shareLeft(holder: string, held: number, free: number): number {
  if (holder === SELF) return Math.max(0, free);
  const factor = isOperator(holder) ? OPERATOR_FREE_SHARE : FREE_SHARE;
  return Math.max(0, Math.ceil((factor * free - held) / (factor + 1)));
}

/** How many more streams to a target a holder may open, of those that the target has free. */
export function targetStreamsLeft(holder: string, held: number, free: number): number {
  const left = shareLeft(holder, held, free);
  return holder === SELF ? left : Math.max(0, Math.min(left, TARGET_STREAMS_PER_HOLDER - held));
}

export interface ShareBounds {
  /** For messages: `readers of events`. */
  readonly what: string;
  readonly perHolder: number;
  readonly perOperator: number;
  readonly total: number;
  /** Called for each refusal. */
  readonly onRefused?: (() => void) | undefined;
}

export class Shares {
  readonly #bounds: ShareBounds;
  readonly #counts = new Counts();
  #total = 0;

  constructor(bounds: ShareBounds) {
    this.#bounds = bounds;
  }

  get total(): number {
    return this.#total;
  }

  /** @throws TurnaboutError `share_exceeded` where the holder has its share; `overloaded` where nothing is free */
  take(holder: string): Release {
    const { what, perHolder, perOperator, total, onRefused } = this.#bounds;
    const held = this.#counts.of(holder);
    const max = isOperator(holder) ? perOperator : perHolder;
    const isOver = holder !== SELF && held >= max;
    if (isOver || shareLeft(holder, held, total - this.#total) === 0) {
      onRefused?.();
      if (held > 0 && holder !== SELF)
        throw new TurnaboutError("share_exceeded", `${what}: ${holder} has ${held} already`);
      throw new TurnaboutError("overloaded", `${what}: all ${total} are taken`);
    }
    this.#total += 1;
    const release = this.#counts.take([holder]);
    let isHeld = true;
    return () => {
      if (isHeld) this.#total -= 1;
      isHeld = false;
      release();
    };
  }
}
