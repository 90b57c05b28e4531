/** Large bodies of API requests, by credential: each is parsed in one turn of the event loop, at the cost of all other callers. */
import { TurnaboutError } from "../../wire/errors.ts";
import { isOperator } from "./holders.ts";
import {
  LARGE_BODY_BYTES,
  LARGE_BODY_BYTES_BURST,
  LARGE_BODY_BYTES_PER_S,
  OPERATOR_LARGE_BODIES,
} from "./limits.ts";
import { RateLimits } from "./rate-limits.ts";

export class LargeBodies {
  readonly #rates: RateLimits = new RateLimits({
    perS: LARGE_BODY_BYTES_PER_S,
    burst: LARGE_BODY_BYTES_BURST,
  });
  readonly #onRefused: () => void;

  constructor(onRefused: () => void) {
    this.#onRefused = onRefused;
  }

  /**
   * Before a body is read.
   *
   * @param bytes at most the bound of an API body
   * @throws TurnaboutError `rate_limited`
   */
  admit(holder: string, bytes: number): void {
    if (bytes <= LARGE_BODY_BYTES) return;
    const amount = isOperator(holder) ? bytes / OPERATOR_LARGE_BODIES : bytes;
    const retryAfterS = this.#rates.take(holder, performance.now(), amount);
    if (retryAfterS === 0) return;
    this.#onRefused();
    throw new TurnaboutError(
      "rate_limited",
      `API: bodies of more than ${LARGE_BODY_BYTES} bytes come faster than ${LARGE_BODY_BYTES_PER_S} bytes a second`,
      { retryAfterS },
    );
  }
}
