/** What the control plane knows of a target, looked at before a command begins to dial it. */
import type { ApiClient } from "../../clients/api/api-client.ts";
import type { Output } from "../../clients/api/operations.ts";
import { formatAge } from "../output/table.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { TurnaboutError } from "../../wire/errors.ts";

type Runner = Output<"get", "/api/v1/runners/{id}">;

export interface CheckedTarget {
  /** Undefined where the runner is not connected and has not announced it before. */
  target: Runner["targets"][number] | undefined;
  /** Why connections have to wait now; undefined if they need not. */
  absence: string | undefined;
}

/** @throws TurnaboutError the token, the runner or the target is not known, or is not for this token */
export async function checkTarget(
  client: ApiClient,
  { runner: id, target: name }: Destination,
): Promise<CheckedTarget> {
  const runner = await client.call("get", "/api/v1/runners/{id}", { path: { id } });
  const target = runner.targets.find((each) => each.name === name);
  if (target?.mayDial === false)
    throw new TurnaboutError("not_allowed", `the token may not reach ${id}/${name}`, {
      hint: "use the token of an admin, or of a user whose targets cover this one",
    });
  if (target === undefined && runner.state === "connected") {
    const names = runner.targets.map((each) => each.name);
    throw new TurnaboutError("target_unknown", `runner ${id} has no target ${JSON.stringify(name)}`, {
      hint: names.length === 0 ? "its agent offers none" : `it has ${names.join(", ")}`,
    });
  }
  return { target, absence: absenceOf(runner) };
}

/** Undefined for a runner that is connected. */
export function absenceOf({ id, state, since }: Pick<Runner, "id" | "since" | "state">): string | undefined {
  if (state === "connected") return undefined;
  const age = formatAge(since);
  return state === "reconnecting"
    ? `${id} is not connected: it was lost ${age} ago`
    : `${id} is not connected: it has been gone for ${age}`;
}
