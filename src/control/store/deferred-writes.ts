/**
 * Changes that could not be saved yet, by subject: of several for one subject the latest counts. Those that matter are as
 * many as there are subjects in memory; the others, such as when a runner was last seen, have a bound of their own.
 */
import { MAX_UNSAVED_SIGHTINGS } from "./limits.ts";

type Write = () => void;

export class DeferredWrites {
  readonly #needed = new Map<string, Write>();
  readonly #disposable = new Map<string, Write>();

  get size(): number {
    return this.#needed.size + this.#disposable.size;
  }

  /** Of these, those that matter. */
  get needed(): number {
    return this.#needed.size;
  }

  has(key: string): boolean {
    return this.#needed.has(key) || this.#disposable.has(key);
  }

  /** @param isDisposable the oldest such one is dropped if there are too many */
  set(key: string, write: Write, isDisposable: boolean): void {
    this.delete(key);
    if (!isDisposable) return void this.#needed.set(key, write);
    this.#disposable.set(key, write);
    const [oldest] = this.#disposable.size > MAX_UNSAVED_SIGHTINGS ? this.#disposable.keys() : [];
    if (oldest !== undefined) this.#disposable.delete(oldest);
  }

  /** It was saved, or is no longer wanted. */
  delete(key: string): void {
    this.#needed.delete(key);
    this.#disposable.delete(key);
  }

  /** Those that matter before the others, then the oldest. */
  first(count: number): [key: string, write: Write][] {
    const needed = [...this.#needed.entries().take(count)];
    return [...needed, ...this.#disposable.entries().take(count - needed.length)];
  }
}
