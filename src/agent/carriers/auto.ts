/**
 * `--carrier auto`: tries the carriers in order of preference until one connects. The reason of each failure is kept for
 * the log, because operators need to know why a slower carrier is in use.
 */
import type { ServerHttp2Session } from "node:http2";
import { CARRIER_KINDS } from "../../wire/session/carrier.ts";
import type { Carrier, CarrierKind } from "../../wire/session/carrier.ts";
import { joinReasons, toError, TurnaboutError } from "../../wire/errors.ts";
import { serveReversed } from "../../wire/session/reversed-session.ts";
import { ATTEMPT_TIMEOUT_MS, CARRIER_MEMORY_FAILURES } from "../limits.ts";
import { refusedByAlert } from "../transport/tls-errors.ts";
import type { CarrierOptions, DialCarrier } from "./dial-carrier.ts";
import { dialH2 } from "./h2.ts";
import { dialPtth } from "./ptth.ts";
import { dialRh2 } from "./rh2.ts";

export type CarrierChoice = CarrierKind | "auto";

export interface Established {
  carrier: Carrier;
  http2Session: ServerHttp2Session;
  /** Why this carrier, as a sentence for the log. */
  why: string;
}

const DIALLERS: Readonly<Record<CarrierKind, DialCarrier>> = {
  rh2: dialRh2,
  ptth: dialPtth,
  // Loaded on demand: where another carrier passes, it is not needed.
  websocket: async (options) => (await import("./websocket.ts")).dialWebSocket(options),
  h2: dialH2,
};

/** Errors that another carrier may avoid. A proxy that drops an unknown upgrade makes the endpoint respond 426. */
const CARRIER_SPECIFIC: ReadonlySet<string> = new Set(["carrier_failed", "upgrade_required"]);

export class CarrierChooser {
  readonly #choice: CarrierChoice;
  readonly #timeoutMs: number;
  #worked: CarrierKind | undefined;
  #failures = 0;

  /** @param timeoutMs limit for each carrier. Default {@link ATTEMPT_TIMEOUT_MS} */
  constructor(choice: CarrierChoice, timeoutMs: number = ATTEMPT_TIMEOUT_MS) {
    this.#choice = choice;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @param accept called with each HTTP/2 session that begins; only the last one is established
   * @throws TurnaboutError `carrier_failed` with the reason of each carrier, or the first error that no carrier avoids
   */
  async establish(
    options: Omit<CarrierOptions, "signal">,
    accept: (http2Session: ServerHttp2Session, carrier: Carrier) => void,
    signal: AbortSignal,
  ): Promise<Established> {
    const reasons: string[] = [];
    for (const kind of this.#candidates(options.url)) {
      try {
        const limited = AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)]);
        const { carrier, http2Session } = await dialCarrier(kind, options, accept, limited);
        const why = this.#explain(kind, reasons);
        this.#worked = kind;
        this.#failures = 0;
        return { carrier, http2Session, why };
      } catch (cause) {
        const error = refusedByAlert(cause) ?? toError(cause);
        // A dead server, refused credentials or a wrong file fail on every carrier.
        if (!(error instanceof TurnaboutError) || !CARRIER_SPECIFIC.has(error.code) || signal.aborted)
          throw error;
        reasons.push(error.message);
      }
    }
    this.#failures += 1;
    if (this.#failures >= CARRIER_MEMORY_FAILURES) this.#worked = undefined;
    throw new TurnaboutError("carrier_failed", joinReasons(reasons));
  }

  #candidates(url: URL): readonly CarrierKind[] {
    if (this.#choice !== "auto") return [this.#choice];
    // A carrier that has worked is kept through a short network failure.
    if (this.#worked !== undefined) return [this.#worked];
    return url.protocol === "https:" ? CARRIER_KINDS : CARRIER_KINDS.filter((kind) => kind !== "rh2");
  }

  #explain(kind: CarrierKind, reasons: readonly string[]): string {
    if (this.#choice !== "auto") return "configured";
    if (this.#worked === kind) return "it worked before";
    return reasons.length === 0
      ? "first choice for this URL"
      : `the preferred carriers failed: ${joinReasons(reasons)}`;
  }
}

/** One attempt with one carrier. @param accept called with the HTTP/2 session in the turn in which it begins */
export async function dialCarrier(
  kind: CarrierKind,
  options: Omit<CarrierOptions, "signal">,
  accept: (http2Session: ServerHttp2Session, carrier: Carrier) => void,
  signal: AbortSignal,
): Promise<{ carrier: Carrier; http2Session: ServerHttp2Session }> {
  const carrier = await DIALLERS[kind]({ ...options, signal });
  await writesDone(carrier, signal);
  const http2Session = await serveReversed(carrier.stream, (http2Session) => accept(http2Session, carrier), {
    signal,
  });
  return { carrier, http2Session };
}

/**
 * Starting an HTTP/2 session on a TLS socket with an unfinished write aborts the process. Our request was written long
 * before a correct peer responds to it, but an early response must not be able to end this process.
 */
async function writesDone({ stream, kind }: Carrier, signal: AbortSignal): Promise<void> {
  while (stream.writableLength > 0) {
    if (stream.destroyed || signal.aborted) {
      stream.destroy();
      throw new TurnaboutError(
        "carrier_failed",
        `${kind}: the peer responded before it had read the request`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
