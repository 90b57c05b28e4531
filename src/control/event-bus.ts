/** What happens in the control plane, for `GET /api/v1/events` and for whoever embeds it. */
import type { RegistryEvent } from "./registry.ts";
import type { SessionEvent } from "./sessions/sessions.ts";

export type ControlEvent = RegistryEvent | SessionEvent;

export class EventBus {
  readonly #listeners = new Set<(event: ControlEvent) => void>();

  /** @returns removes the listener again */
  subscribe(listener: (event: ControlEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(event: ControlEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
