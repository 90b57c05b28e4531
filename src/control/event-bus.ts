/** What happens in the control plane, for `GET /api/v1/events` and for a program that embeds it. */
import { Guard } from "../wire/streams/guard.ts";
import type { RegistryEvent } from "./registry/registry.ts";

/** An event of an extension. Readers of `GET /api/v1/events` get it as JSON. */
export interface ExtensionEvent {
  readonly type: string;
  /** The user who may read it; admins read all. */
  readonly owner: string;
}

export type ControlEvent = RegistryEvent | ExtensionEvent;

interface Subscriber {
  listener: (event: ControlEvent) => void;
  onEnd: (() => void) | undefined;
}

export class EventBus {
  readonly #subscribers = new Set<Subscriber>();
  readonly #guard: Guard;

  /** @param onFailure called with what a subscriber has thrown; other subscribers and the publisher are not affected */
  constructor(onFailure: (error: Error) => void = () => {}) {
    this.#guard = new Guard(onFailure);
  }

  /**
   * @param onEnd called when it is time to go
   * @returns removes the listener again
   */
  subscribe(listener: (event: ControlEvent) => void, onEnd?: () => void): () => void {
    const subscriber: Subscriber = { listener, onEnd };
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  publish(event: ControlEvent): void {
    for (const { listener } of this.#subscribers) this.#guard.run(() => listener(event));
  }

  /** The control plane drains: ends long-lived readers. */
  endReaders(): void {
    for (const { onEnd } of this.#subscribers) this.#guard.run(() => onEnd?.());
  }

  /** Later events are dropped. */
  close(): void {
    this.#subscribers.clear();
  }
}
