/**
 * Requests without a valid credential, by client address. Who has a valid one is not affected, whatever others behind the
 * same address do: tokens are random and long, so there is nothing to be guessed, and only the work and the log are bounded.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import { addressHolder } from "./holders.ts";
import { RateLimits } from "./rate-limits.ts";
import type { Rate } from "./rate-limits.ts";

export interface AnonymousRates {
  /** Requests without a credential. */
  requests: Rate;
  /** Requests with one that is not valid. */
  failures: Rate;
  /** Called for each request that was refused because of its rate. */
  onRefused: (what: "anonymous_requests" | "failed_credentials") => void;
}

export class AnonymousCallers {
  readonly #requests: RateLimits;
  readonly #failures: RateLimits;
  readonly #onRefused: AnonymousRates["onRefused"];

  constructor({ requests, failures, onRefused }: AnonymousRates) {
    this.#requests = new RateLimits(requests);
    this.#failures = new RateLimits(failures);
    this.#onRefused = onRefused;
  }

  /** A request without a credential, that needs none. @throws TurnaboutError `rate_limited` */
  admit(address: string): void {
    const retryAfterS = this.#requests.take(addressHolder(address));
    if (retryAfterS > 0) throw this.#limited("anonymous_requests", address, retryAfterS);
  }

  /**
   * What to respond with where a request has failed: `rate_limited` in place of `unauthenticated` for an address with too
   * many of them, and otherwise the error itself.
   *
   * @param hasCredential the request has one, which is not valid
   */
  refusal(error: unknown, address: string, hasCredential: boolean): unknown {
    if (!(error instanceof TurnaboutError) || error.code !== "unauthenticated") return error;
    const retryAfterS = (hasCredential ? this.#failures : this.#requests).take(addressHolder(address));
    if (retryAfterS === 0) return error;
    return this.#limited(hasCredential ? "failed_credentials" : "anonymous_requests", address, retryAfterS);
  }

  #limited(
    what: "anonymous_requests" | "failed_credentials",
    address: string,
    retryAfterS: number,
  ): TurnaboutError {
    this.#onRefused(what);
    const kind = what === "failed_credentials" ? "invalid credentials" : "requests without a credential";
    return new TurnaboutError("rate_limited", `too many ${kind} from ${address}`, { retryAfterS });
  }
}
