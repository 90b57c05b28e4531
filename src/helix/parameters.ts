/** Parameters of a query that decide where a request goes. */
import { TurnaboutError } from "../wire/errors.ts";
import { queryOf } from "../control/extension.ts";

/**
 * A parameter that decides where a request goes. Of two with different values another server might take the other one.
 *
 * @param meant what a value stands for. Default: itself
 * @throws TurnaboutError `bad_request`
 */
export function required(
  parameter: string,
  query: string,
  meant: (value: string) => string = (value) => value,
): string {
  const values = queryOf(query).getAll(parameter);
  const [value = "", other] = new Set(values.map(meant));
  if (value !== "" && other === undefined) return values[0] ?? value;
  const problem = other === undefined ? "is missing" : "has several values";
  throw new TurnaboutError("bad_request", `${parameter} ${problem}`, {
    details: [`${parameter}: required in the query, with one value`],
  });
}
