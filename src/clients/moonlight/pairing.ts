/** `POST /api/pair`: a JSON value with the PIN at once, and a second one when it has been typed in. */
import { z } from "zod";
import { TurnaboutError } from "../../wire/errors.ts";
import type { HttpResponse } from "../http/exchange.ts";
import { jsonValues } from "../http/json-values.ts";
import { idSchema, optional, variantOf } from "../http/tolerant.ts";
import { moonlightIdSchema } from "./ids.ts";
import type { MoonlightId } from "./ids.ts";
import { MAX_PAIRING_BYTES } from "./limits.ts";

export type PairStep =
  /** Show it to the user; the next step follows when it has been typed in. */
  | { kind: "pin"; pin: string }
  | { kind: "paired"; host: PairedHost }
  | { kind: "failed" }
  | { kind: "already-paired" }
  /** A step of a newer Moonlight Web; others follow. */
  | { kind: "unknown"; name: string; value: unknown };

/** As far as Moonlight Web describes it. */
export interface PairedHost {
  host_id?: MoonlightId | undefined;
  name?: string | undefined;
  [field: string]: unknown;
}

const LABEL = "moonlight POST /api/pair";

/**
 * Nothing separates the values: Helix's fork sends `{"Pin":"1234"}`, and seconds later `\n{"Paired":…}`; the original ends each
 * with a line feed. Chunks may hold parts of a value, or several.
 *
 * @throws TurnaboutError `target_closed` if it ends before the result, `target_protocol` for what is not JSON
 */
export async function* pairSteps(response: HttpResponse): AsyncGenerator<PairStep, void, undefined> {
  if (response.status === 304) return yield { kind: "already-paired" };
  for await (const value of jsonValues(response.body, MAX_PAIRING_BYTES, LABEL)) {
    const step = parseStep(value);
    yield step;
    if (step.kind === "paired" || step.kind === "failed") return;
  }
  throw new TurnaboutError("target_closed", `${LABEL}: ended without a result`);
}

const hostSchema: z.ZodType<PairedHost> = z.looseObject({
  host_id: optional(moonlightIdSchema),
  name: optional(z.string()),
});

function parseStep(json: unknown): PairStep {
  const { name, value } = variantOf(json) ?? {};
  switch (name) {
    case "Pin": {
      const { data: pin } = idSchema.safeParse(value);
      if (pin === undefined) break;
      return { kind: "pin", pin };
    }
    case "Paired":
      return { kind: "paired", host: hostSchema.safeParse(value).data ?? {} };
    case "PairError":
      return { kind: "failed" };
    case undefined:
      break;
    default:
      return { kind: "unknown", name, value };
  }
  throw new TurnaboutError("target_protocol", `${LABEL}: unexpected value`);
}
