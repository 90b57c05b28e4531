/** An agent's runners and their targets, from the command line, the environment or the configuration file. */
import { parseTarget } from "../../agent/targets/targets.ts";
import type { Runner, Target } from "../../agent/targets/targets.ts";
import { UsageError } from "../command.ts";
import { variableOf } from "./option.ts";
import type { Flags } from "./option.ts";

/** What a file says of runners: one with its targets, or several. */
export interface FileRunners {
  runner?: string | undefined;
  targets?: Target[] | undefined;
  runners?: Runner[] | undefined;
}

export interface RunnerSources {
  given: Flags["given"];
  env: Readonly<NodeJS.ProcessEnv>;
  file: FileRunners;
}

/**
 * A runner and its targets are options of their own, so that machines may share a file and differ in `--runner`. Runners of a
 * list in the file count only where neither flags nor variables name a runner or a target.
 *
 * @throws UsageError, or TurnaboutError for a target that is not valid
 */
export function chooseRunners(
  { given, env, file }: RunnerSources,
  allow: { noRunner: boolean; noTarget: boolean },
): Runner[] {
  const runners = collect({ given, env, file });
  if (runners.length === 0 && !allow.noRunner) {
    throw new UsageError(
      "no runner given",
      "give --runner ID and --target NAME=ADDRESS, or --listen ADDRESS",
    );
  }
  const empty = runners.find(({ targets }) => targets.length === 0);
  if (empty !== undefined && !allow.noTarget) {
    throw new UsageError(`runner ${empty.id} has no target`, "give --target NAME=ADDRESS after it");
  }
  return runners;
}

function collect({ given, env, file }: RunnerSources): Runner[] {
  const flags = given.filter(({ name }) => name === "runner" || name === "target");
  const runnerVariable = textOf(env, "runner");
  const targetVariable = textOf(env, "target");
  if (
    flags.length === 0 &&
    runnerVariable === undefined &&
    targetVariable === undefined &&
    file.runners !== undefined
  )
    return file.runners;
  const id = runnerVariable ?? file.runner;
  const targets = targetVariable === undefined ? file.targets : parseTargets(targetVariable);
  const grouped = groupFlags(flags, id);
  const [only] = grouped;
  if (only === undefined) {
    if (id === undefined && targetVariable !== undefined)
      throw new UsageError(`${variableOf("target")} without a runner`, `set ${variableOf("runner")}`);
    return id === undefined ? [] : [{ id, targets: targets ?? [] }];
  }
  if (grouped.length === 1 && only.targets.length === 0 && targets !== undefined)
    return [{ ...only, targets }];
  return grouped;
}

/** A target belongs to the runner that precedes it. @param id of the runner of the other sources */
function groupFlags(flags: Flags["given"], id: string | undefined): Runner[] {
  const runners: Runner[] = [];
  for (const { name, value } of flags) {
    if (name === "runner") {
      runners.push({ id: value, targets: [] });
      continue;
    }
    if (runners.length === 0 && id !== undefined) runners.push({ id, targets: [] });
    const runner = runners.at(-1);
    if (runner === undefined)
      throw new UsageError(`--target ${value}: no runner precedes it`, "give --runner ID first");
    runner.targets.push(parseTarget(value));
  }
  return runners;
}

function parseTargets(list: string): Target[] {
  return list
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "")
    .map(parseTarget);
}

function textOf(env: Readonly<NodeJS.ProcessEnv>, name: string): string | undefined {
  const text = env[variableOf(name)]?.trim() ?? "";
  return text === "" ? undefined : text;
}
