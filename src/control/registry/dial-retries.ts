/** Which failed dials may be tried again: those that the target has provably not seen. */
import type { ClientHttp2Stream } from "node:http2";
import { setTimeout as pause } from "node:timers/promises";
import { TurnaboutError } from "../../wire/errors.ts";
import { isRefusedStream, lossOf } from "../../wire/streams/stream-error.ts";
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

/**
 * REFUSED_STREAM means that the agent has not processed the request (RFC 9113 §8.7), and so does its refusal while it drains.
 *
 * @param stream undefined if it could not be opened
 * @param marksRefusals false for an agent whose `agent_draining` may be the response of a target that was reached
 */
export function isProvablyUnprocessed(
  stream: ClientHttp2Stream | undefined,
  error: unknown,
  marksRefusals: boolean,
): boolean {
  if (isRefusedStream(stream)) return true;
  const isAgents = stream === undefined || marksRefusals;
  return isAgents && error instanceof TurnaboutError && error.code === "agent_draining";
}
