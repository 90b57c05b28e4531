/** `POST /api/pair`: a line with the PIN at once, and a second line when it has been typed in. */
import { z } from "zod";
import { TurnaboutError } from "../../wire/errors.ts";
import type { HttpResponse } from "../http/exchange.ts";
import { parseJson } from "../http/lossless-json.ts";
import { lines } from "../http/lines.ts";
import { MAX_LINE_BYTES } from "./limits.ts";

export type PairStep =
  /** Show it to the user; the next step follows when it has been typed in. */
  | { kind: "pin"; pin: string }
  | { kind: "paired"; host: PairedHost }
  | { kind: "failed" }
  | { kind: "already-paired" };

export interface PairedHost {
  host_id: number;
  name: string;
  [field: string]: unknown;
}

const LABEL = "moonlight POST /api/pair";

/** @throws TurnaboutError `target_closed` if it ends before the result */
export async function* pairSteps(response: HttpResponse): AsyncGenerator<PairStep, void, undefined> {
  if (response.status === 304) return yield { kind: "already-paired" };
  for await (const line of lines(response.body, MAX_LINE_BYTES, LABEL)) {
    if (line.trim() === "") continue;
    const step = parseStep(line);
    yield step;
    if (step.kind !== "pin") return;
  }
  throw new TurnaboutError("target_closed", `${LABEL}: ended without a result`);
}

const stepSchema: z.ZodType<PairStep> = z.union([
  z.looseObject({ Pin: z.string() }).transform(({ Pin }) => ({ kind: "pin" as const, pin: Pin })),
  z
    .looseObject({ Paired: z.looseObject({ host_id: z.number(), name: z.string() }) })
    .transform(({ Paired }) => ({ kind: "paired" as const, host: Paired })),
  z.literal("PairError").transform(() => ({ kind: "failed" as const })),
]);

function parseStep(line: string): PairStep {
  try {
    return stepSchema.parse(parseJson(line));
  } catch (cause) {
    throw new TurnaboutError("target_protocol", `${LABEL}: unexpected line`, { cause });
  }
}
