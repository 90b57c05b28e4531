/** `POST /api/pair`: a line with the PIN at once, and a second one when somebody has typed it in. */
import { z } from "zod";
import { TurnaboutError } from "../../wire/errors.ts";
import type { HttpAnswer } from "../http/exchange.ts";
import { parseJson } from "../http/lossless-json.ts";
import { lines } from "../http/lines.ts";
import { MAX_LINE_BYTES } from "./limits.ts";

export type PairStep =
  /** To be shown; the next step comes when it has been typed in. */
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

/** @throws TurnaboutError `target_closed` where it ends before its outcome */
export async function* pairSteps(answer: HttpAnswer): AsyncGenerator<PairStep, void, undefined> {
  if (answer.status === 304) return yield { kind: "already-paired" };
  for await (const line of lines(answer.body, MAX_LINE_BYTES, LABEL)) {
    if (line.trim() === "") continue;
    const step = parseStep(line);
    yield step;
    if (step.kind !== "pin") return;
  }
  throw new TurnaboutError("target_closed", `${LABEL}: ended without an outcome`);
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
