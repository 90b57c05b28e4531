/** What is given to a command: by flags first, then by environment variables, then by the configuration file. */
import { UsageError } from "../command.ts";
import { parseChoice, parseCount, parsePort, parseSeconds, requireFileName } from "../options.ts";
import { flagOf, specsOf, variableOf } from "./option.ts";
import type { Flags, OptionSpec, OptionTable } from "./option.ts";

/** Values of one section of the file, checked, by the names of their options. */
export type FileValues = Readonly<Record<string, string | boolean | readonly string[]>>;

interface Value {
  value: string | boolean | readonly string[];
  /** For messages: `--grace`, `TURNABOUT_GRACE`, `grace`. */
  from: string;
}

export class Given<Name extends string> {
  readonly #table: OptionTable<Name>;
  readonly #values = new Map<string, Value>();

  /** @throws UsageError for a variable that is not valid, or a secret in place of its file's name */
  constructor(
    table: OptionTable<Name>,
    { flags, env, file }: { flags: Flags; env: Readonly<NodeJS.ProcessEnv>; file?: FileValues | undefined },
  ) {
    this.#table = table;
    for (const [name, spec] of specsOf(table)) {
      const value =
        fromFlags(name, spec, flags) ?? fromVariable(name, spec, env) ?? fromFile(name, file ?? {});
      if (value === undefined) continue;
      if (spec.kind === "file")
        for (const text of [value.value].flat()) requireFileName(String(text), value.from);
      this.#values.set(name, value);
    }
  }

  isGiven(name: Name): boolean {
    return this.#values.has(name);
  }

  text(name: Name): string | undefined {
    const value = this.#values.get(name)?.value;
    return typeof value === "string" ? value : undefined;
  }

  list(name: Name): readonly string[] | undefined {
    const value = this.#values.get(name)?.value;
    return typeof value === "object" ? value : undefined;
  }

  isOn(name: Name): boolean | undefined {
    const value = this.#values.get(name)?.value;
    return typeof value === "boolean" ? value : undefined;
  }

  seconds(name: Name): number | undefined {
    return parseSeconds(this.text(name), this.#from(name), this.#table[name]);
  }

  count(name: Name): number | undefined {
    return parseCount(this.text(name), this.#from(name), this.#table[name]);
  }

  port(name: Name): number {
    return parsePort(this.text(name) ?? String(this.#table[name].default), this.#from(name));
  }

  choice<Choice extends string>(name: Name, choices: readonly Choice[]): Choice | undefined {
    return parseChoice(this.text(name), this.#from(name), choices);
  }

  #from(name: Name): string {
    return this.#values.get(name)?.from ?? `--${name}`;
  }
}

function fromFlags(name: string, spec: OptionSpec, { values }: Flags): Value | undefined {
  const value = values[name];
  if (value === undefined) return undefined;
  const list = Array.isArray(value) ? value.map(String) : value;
  return { value: list, from: flagOf(name, spec) };
}

function fromVariable(name: string, spec: OptionSpec, env: Readonly<NodeJS.ProcessEnv>): Value | undefined {
  const variable = variableOf(name);
  const text = env[variable]?.trim() ?? "";
  if (text === "" || isServiceLink(spec, text)) return undefined;
  if (spec.kind === "switch") return { value: parseSwitch(variable, text), from: variable };
  if (spec.many !== true) return { value: text, from: variable };
  const items = text.split(",").map((item) => item.trim());
  return { value: items.filter((item) => item !== ""), from: variable };
}

function fromFile(name: string, file: FileValues): Value | undefined {
  const value = file[name];
  return value === undefined ? undefined : { value, from: name };
}

/** Kubernetes sets `TURNABOUT_PORT=tcp://10.0.0.1:8080` in every pod beside a Service named `turnabout`. */
function isServiceLink({ kind }: OptionSpec, text: string): boolean {
  return kind === "port" && /^(?:tcp|udp|sctp):\/\//.test(text);
}

/** @throws UsageError */
function parseSwitch(variable: string, text: string): boolean {
  if (/^(?:1|true|yes|on)$/i.test(text)) return true;
  if (/^(?:0|false|no|off)$/i.test(text)) return false;
  throw new UsageError(`${variable}=${text}: neither true nor false`, "use true or false");
}
