/** Refusals by the control plane that no time resolves: an operator has to change something at one of the two ends. */
import { TurnaboutError } from "../../wire/errors.ts";
import type { ErrorCode } from "../../wire/error-table.ts";

const FINAL: ReadonlySet<ErrorCode> = new Set(["unauthenticated", "not_allowed", "bad_request"]);

/** The agent tries again nevertheless: its token's file, or its entry at the control plane, may be corrected. */
export function isFinalRefusal(error: Error): boolean {
  return error instanceof TurnaboutError && FINAL.has(error.code);
}
