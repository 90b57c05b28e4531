/** What is noted of one request, WebSocket, CONNECT or dial while it runs: for its log line if it fails, and for the access log. */
import type { Phase } from "../../wire/errors.ts";

export class RequestRecord {
  /** Under which the caller, the control plane and the agent speak of it. */
  readonly id: string;
  readonly #startedAt = performance.now();
  /** When its last place on a connection was found. */
  #placedAt: number | undefined;
  /** Id of the tunnel connection that it has got, or got last. */
  connection: string | undefined;
  /** What is under way. */
  phase: Phase = "runner";
  /** Until a connection of the runner was found. */
  queueMs: number | undefined;
  /** From then until the agent had reached the target; 0 on a stream that was open already. */
  dialMs: number | undefined;
  /** From the start to the header of the target's response. */
  firstByteMs: number | undefined;

  constructor(id: string) {
    this.id = id;
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  /** It has got a place on a connection of the runner. */
  placed(connection: string): void {
    this.connection = connection;
    this.phase = "connect";
    this.#placedAt = performance.now();
    this.queueMs = this.#placedAt - this.#startedAt;
  }

  /** The agent has reached the target. @param at by `performance.now()`; before its place for a stream that was open already */
  accepted(at: number = performance.now()): void {
    this.phase = "response";
    this.dialMs = Math.max(0, at - (this.#placedAt ?? at));
  }

  /** The header of the target's response is here. @param acceptedAt see {@link accepted} */
  responded(acceptedAt?: number): void {
    if (acceptedAt !== undefined) this.accepted(acceptedAt);
    this.phase = "content";
    this.firstByteMs = this.elapsedMs;
  }
}
