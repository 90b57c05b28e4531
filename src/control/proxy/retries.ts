/** Whether a request that has failed may be sent again, without being processed twice (RFC 9110 §9.2.2). */
import { errorCodeOf, TurnaboutError } from "../../wire/errors.ts";
import { lossOf } from "../../wire/streams/stream-error.ts";
import { DIAL_ATTEMPTS } from "../limits.ts";
import { asSaturated, SaturatedDial } from "../tunnels/dial-retries.ts";

const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/**
 * - `now`: no byte of the request can have had an effect.
 * - `after-loss`: the agent's process died; another connection of the runner may exist.
 * - `after-saturation`: the target had too many streams; nothing has reached it.
 */
export type Retry = "none" | "now" | "after-loss" | "after-saturation";

export class Retries {
  readonly #isSafe: boolean;
  readonly #hasBody: boolean;
  readonly #saturation = new SaturatedDial();
  #attempts = 0;
  /** It was tried again after its agent had died, which is done once. */
  #hasLost = false;
  #saturated: TurnaboutError | undefined;

  constructor(method: string | undefined, hasBody: boolean) {
    this.#isSafe = SAFE_METHODS.has(method ?? "");
    this.#hasBody = hasBody;
  }

  /** The agent's refusal after which the request is dialled again. */
  get saturated(): TurnaboutError | undefined {
    return this.#saturated;
  }

  countAttempt(): void {
    this.#attempts += 1;
  }

  /** @param hasBegun a byte of a response has come: the target has the request */
  next(error: Error, hasBegun: boolean): Retry {
    if (this.#hasBody || hasBegun) return "none";
    if (this.#isSafe && !this.#hasLost && error instanceof TurnaboutError && error.code === "tunnel_lost") {
      this.#hasLost = true;
      return "after-loss";
    }
    if (lossOf(error)?.saturated === true && error !== this.#saturated) {
      this.#saturated = asSaturated(error);
      return "after-saturation";
    }
    return this.#attempts < DIAL_ATTEMPTS && this.#isUnprocessed(error) ? "now" : "none";
  }

  /** False where it has waited often enough; resolves after a pause otherwise. */
  waitForRoom(): Promise<boolean> {
    return this.#saturation.mayRetry();
  }

  /** The agent has not looked at it, or an idle stream that a safe request took over turned out to be closed. */
  #isUnprocessed(error: Error): boolean {
    const loss = lossOf(error);
    if (loss?.unprocessed === true) return true;
    const { socket } = error as { socket?: { bytesRead?: number } };
    const isClosedIdle = errorCodeOf(error) === "UND_ERR_SOCKET" && (socket?.bytesRead ?? 0) > 0;
    return (loss?.reused === true || isClosedIdle) && this.#isSafe;
  }
}
