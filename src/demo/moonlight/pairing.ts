/**
 * `POST /api/pair`: a response in two lines. The second line follows only after a person has typed the PIN of the first
 * one into the other device.
 *
 *     ← 200, application/x-ndjson, chunked
 *     ← {"Pin":"1234"}
 *       … a person types …
 *     ← {"Paired":{…}}   or   "PairError"
 */
import type { ServerResponse } from "node:http";
import { detailed } from "./state.ts";
import type { MoonlightHost, MoonlightState } from "./state.ts";

export type PairOutcome = "paired" | "failed";

export class Pairings {
  readonly #state: MoonlightState;
  readonly #delayMs: number;
  readonly #waiting = new Set<(outcome: PairOutcome) => void>();

  constructor(state: MoonlightState, delayMs: number) {
    this.#state = state;
    this.#delayMs = delayMs;
  }

  start(host: MoonlightHost, response: ServerResponse): void {
    if (host.paired === "Paired") {
      response.writeHead(304).end();
      return;
    }
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.write(line({ Pin: "1234" }));
    const finish = (outcome: PairOutcome): void => {
      stop();
      if (outcome === "paired") host.paired = "Paired";
      response.end(line(outcome === "paired" ? { Paired: detailed(this.#state, host) } : "PairError"));
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

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
