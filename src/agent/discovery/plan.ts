/** Decides which of the labelled containers are announced, and why the others are not. */
import { toError } from "../../wire/errors.ts";
import type { Runner } from "../targets/targets.ts";
import type { Container, Problem } from "./containers.ts";
import { RUNNER_LABEL, runnerOf } from "./labels.ts";

export interface PlannedRunner {
  runner: Runner;
  container: Container;
}

export interface Plan {
  runners: Map<string, PlannedRunner>;
  problems: Problem[];
}

export interface Circumstances {
  /** The agent's own runners, which no container can take over. */
  own: ReadonlySet<string>;
  /** Containers that are announced now, by runner. They keep their runner. */
  announced: ReadonlyMap<string, string>;
  /** How many runners there may be. */
  maxRunners: number;
  hostNetwork: boolean;
}

export function planRunners(containers: readonly Container[], circumstances: Circumstances): Plan {
  const { own, announced, maxRunners } = circumstances;
  const plan: Plan = { runners: new Map(), problems: [] };
  const isAnnounced = ({ id, labels }: Container): boolean =>
    announced.get(labels.get(RUNNER_LABEL) ?? "") === id;
  // The first one wins: a new container takes no runner from another.
  const ordered = containers
    .filter(({ labels }) => labels.has(RUNNER_LABEL))
    .toSorted(
      (a, b) =>
        Number(isAnnounced(b)) - Number(isAnnounced(a)) ||
        a.createdAtS - b.createdAtS ||
        (a.id < b.id ? -1 : 1),
    );
  for (const container of ordered) {
    try {
      const runner = runnerOf(container, circumstances);
      const reason = problemWith(runner.id);
      if (reason === undefined) plan.runners.set(runner.id, { runner, container });
      else plan.problems.push({ container: container.name, reason });
    } catch (error) {
      plan.problems.push({ container: container.name, reason: toError(error).message });
    }
  }
  function problemWith(id: string): string | undefined {
    if (own.has(id)) return `runner ${id} is already configured at this agent`;
    const holder = plan.runners.get(id);
    if (holder !== undefined)
      return `runner ${id} is already announced for container ${holder.container.name}`;
    return plan.runners.size < maxRunners
      ? undefined
      : `runner ${id}: there are ${maxRunners} discovered runners already`;
  }
  return plan;
}
