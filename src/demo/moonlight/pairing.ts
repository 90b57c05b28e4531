/**
 * `POST /api/pair`: a response in two JSON values. The second follows only after a person has typed the PIN of the first
 * into the other device.
 *
 *     ← 200, application/x-ndjson, chunked
 *     ← {"Pin":"1234"}
 *       … a person types …
 *     ← {"Paired":{…}}   or   "PairError"
 *
 * The fork separates them by a line feed that comes with the second; upstream ends each with one.
 */
import type { ServerResponse } from "node:http";
import { detailed } from "./state.ts";
import type { MoonlightHost, MoonlightState } from "./state.ts";

export type PairOutcome = "paired" | "failed";
export type LineFeeds = "between" | "behind-each";

export class Pairings {
  readonly #state: MoonlightState;
  readonly #delayMs: number;
  readonly #lineFeeds: LineFeeds;
  readonly #waiting = new Set<(outcome: PairOutcome) => void>();

  constructor(state: MoonlightState, delayMs: number, lineFeeds: LineFeeds) {
    this.#state = state;
    this.#delayMs = delayMs;
    this.#lineFeeds = lineFeeds;
  }

  start(host: MoonlightHost, response: ServerResponse): void {
    if (host.paired === "Paired") {
      response.writeHead(304).end();
      return;
    }
    const [before, behind] = this.#lineFeeds === "between" ? ["\n", ""] : ["", "\n"];
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.write(JSON.stringify({ Pin: "1234" }) + behind);
    const finish = (outcome: PairOutcome): void => {
      stop();
      if (outcome === "paired") host.paired = "Paired";
      const result = outcome === "paired" ? { Paired: detailed(this.#state, host) } : "PairError";
      response.end(before + JSON.stringify(result) + behind);
    };
    const timer = setTimeout(() => finish("paired"), this.#delayMs);
    const stop = (): void => {
      clearTimeout(timer);
      this.#waiting.delete(finish);
    };
    this.#waiting.add(finish);
    // A caller that disconnects does not pair.
    response.once("close", stop);
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  finishAll(outcome: PairOutcome): void {
    for (const finish of this.#waiting) finish(outcome);
  }
}
