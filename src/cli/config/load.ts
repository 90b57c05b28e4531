/** Gathers what a command is given from its flags, its environment and its configuration file. */
import { TurnaboutError } from "../../wire/errors.ts";
import type { FileRunners } from "./agent-runners.ts";
import { Given } from "./given.ts";
import type { FileValues } from "./given.ts";
import { CONFIG_FLAG, parseFlags, variableOf } from "./option.ts";
import type { Flags, OptionTable } from "./option.ts";

export interface Gathered<Name extends string> {
  given: Given<Name>;
  flags: Flags;
  /** Of the file's section for an agent. */
  runners: FileRunners;
}

/** @throws UsageError for a flag or variable, TurnaboutError `config_invalid` for the file */
export async function gather<Name extends string>(
  section: "serve" | "agent",
  table: OptionTable<Name>,
  args: readonly string[],
): Promise<Gathered<Name>> {
  const flags = parseFlags(table, args);
  const { [CONFIG_FLAG]: flag } = flags.values;
  const file = typeof flag === "string" ? flag : (process.env[variableOf(CONFIG_FLAG)] ?? "");
  const content = file === "" ? undefined : await readSection(file, section);
  return {
    flags,
    given: new Given(table, { flags, env: process.env, file: content?.values }),
    runners: content?.runners ?? {},
  };
}

async function readSection(
  file: string,
  section: "serve" | "agent",
): Promise<{ values: FileValues; runners: FileRunners }> {
  const { readConfigFile } = await import("./config-file.ts"); // it has a YAML parser and a schema
  const content = readConfigFile(file);
  if (section === "serve" && content.serve !== undefined) return { values: content.serve, runners: {} };
  if (section === "agent" && content.agent !== undefined) return content.agent;
  throw new TurnaboutError("config_invalid", `${file}: nothing for \`turnabout ${section}\``, {
    hint: `put its options below \`${section}:\`, indented`,
  });
}
