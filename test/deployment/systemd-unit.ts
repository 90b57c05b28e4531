/** A unit file: its settings, and its command as systemd would run it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../docs/markdown.ts";

export interface Unit {
  path: string;
  text: string;
  /** Every value of a setting, in order. */
  all(setting: string): string[];
  /** The last value of a setting: the one that counts. */
  value(setting: string): string;
}

export function readUnit(name: string): Unit {
  const path = join(ROOT, "compose/systemd", name);
  const text = readFileSync(path, "utf8");
  const settings = text
    .replaceAll(/^[#;].*\n/gm, "")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .flatMap((line) => {
      const [, key = "", value = ""] = /^(\w+)=(.*)$/.exec(line) ?? [];
      return key === "" ? [] : [{ key, value }];
    });
  const all = (setting: string) =>
    settings.filter(({ key }) => key === setting).map(({ value }) => value.trim());
  return {
    path,
    text,
    all,
    value(setting) {
      const value = all(setting).at(-1);
      if (value === undefined) throw new Error(`${name}: no ${setting}=`);
      return value;
    },
  };
}

/**
 * A setting such as `ExecStart=` split into arguments as systemd does for what our units use: `${NAME}` is one argument's part, a bare
 * `$NAME` is as many arguments as it has words.
 */
export function commandLine(unit: Unit, env: Record<string, string>, setting = "ExecStart"): string[] {
  const variable = (name: string) => {
    const value = env[name];
    if (value === undefined) throw new Error(`${unit.path}: $${name} is not set`);
    return value;
  };
  return unit
    .value(setting)
    .split(/\s+/)
    .flatMap((word) => {
      const bare = /^\$(\w+)$/.exec(word);
      if (bare !== null)
        return variable(bare[1] ?? "")
          .split(/\s+/)
          .filter(Boolean);
      return [word.replaceAll(/\$\{(\w+)\}/g, (_match, name: string) => variable(name))];
    });
}
