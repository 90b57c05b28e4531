/** Which failed dials may be tried again: those that the target has provably not seen. */
import { setTimeout as pause } from "node:timers/promises";
import { TurnaboutError } from "../../wire/errors.ts";
import { lossOf } from "../../wire/streams/stream-error.ts";
import { SATURATED_DIAL_ATTEMPTS, SATURATED_DIAL_PAUSE_MS } from "../limits.ts";

/** A dial that the agent has refused because its target has too many streams: it queues again, a limited number of times. */
export class SaturatedDial {
  #attempts = 0;

  /** Pauses, then resolves to true; resolves to false at once when there are no attempts left. */
  async mayRetry(): Promise<boolean> {
    this.#attempts += 1;
    if (this.#attempts >= SATURATED_DIAL_ATTEMPTS) return false;
    await pause(this.#attempts * SATURATED_DIAL_PAUSE_MS);
    return true;
  }
}

/** The error if it is an agent's refusal because the target has too many streams; otherwise undefined. */
export function asSaturated(error: unknown): TurnaboutError | undefined {
  return error instanceof TurnaboutError && lossOf(error)?.saturated === true ? error : undefined;
}
