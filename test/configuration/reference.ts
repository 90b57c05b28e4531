/** The tables of docs/configuration.md, from the tables of options and the schema. */
import { AGENT_OPTIONS } from "../../src/cli/config/agent-options.ts";
import { flagOf, keyOf, specsOf, variableOf } from "../../src/cli/config/option.ts";
import type { OptionSpec, OptionTable } from "../../src/cli/config/option.ts";
import { jsonSchema } from "../../src/cli/config/schema.ts";
import { SERVE_OPTIONS } from "../../src/cli/config/serve-options.ts";

export const DOCUMENT = "docs/configuration.md";
export const SCHEMA = "docs/turnabout.schema.json";

const MARK = /(<!-- reference:begin -->\n)[^]*(\n<!-- reference:end -->)/;

/** The document with the generated part as the options are now. */
export function withReference(document: string): string {
  return document.replace(MARK, (_, begin: string, end: string) => `${begin}\n${reference()}${end}`);
}

export function schemaText(): string {
  return `${JSON.stringify(jsonSchema(), undefined, 2)}\n`;
}

interface Property {
  description?: string;
  default?: string | number | boolean;
  type?: string;
  enum?: string[];
  items?: Property;
  properties?: Record<string, Property>;
  required?: string[];
}

function reference(): string {
  const { properties = {} } = jsonSchema() as Property;
  const agent = properties["agent"]?.properties ?? {};
  const { items: target } = agent["targets"] ?? {};
  const { items: runner } = agent["runners"] ?? {};
  return [
    "### `serve`",
    optionTable(SERVE_OPTIONS),
    "### `agent`",
    optionTable(AGENT_OPTIONS),
    "The file has `runners` besides: several runners, in place of `runner` and `targets`.",
    "### A runner of `runners`",
    propertyTable(runner),
    "### A target of `targets`",
    propertyTable(target),
  ]
    .map((part) => `${part}\n`)
    .join("\n");
}

function optionTable(table: OptionTable): string {
  const rows = specsOf(table).map(([name, spec]) => [
    `\`${keyOf(name, spec)}\``,
    `\`${flagOf(name, spec)}\``,
    `\`${variableOf(name)}\``,
    kindOf(name, spec),
    defaultOf(spec),
    spec.default === true ? `\`false\`: ${spec.text}` : spec.text,
  ]);
  return toTable(["key", "flag", "variable", "value", "default", ""], rows);
}

const KINDS: Readonly<Record<OptionSpec["kind"], string>> = {
  text: "text",
  file: "path",
  port: "port",
  seconds: "seconds",
  count: "number",
  switch: "`true`, `false`",
  choice: "",
};

function kindOf(name: string, { kind, choices = [], many }: OptionSpec): string {
  if (name === "runner") return "text";
  if (name === "target") return "list of targets";
  if (kind === "choice") return choices.map((choice) => `\`${choice}\``).join(", ");
  return many === true ? `list of ${KINDS[kind]}s` : KINDS[kind];
}

function defaultOf({ default: value }: OptionSpec): string {
  return value === undefined ? "" : `\`${value}\``;
}

function propertyTable({ properties = {}, required = [] }: Property = {}): string {
  const rows = Object.entries(properties).map(([key, property]) => [
    `\`${key}\``,
    property.enum?.map((choice) => `\`"${choice}"\``).join(", ") ?? property.type ?? "",
    required.includes(key) ? "required" : property.default === undefined ? "" : `\`${property.default}\``,
    property.description ?? "",
  ]);
  return toTable(["key", "value", "default", ""], rows);
}

function toTable(head: string[], rows: string[][]): string {
  const lines = [head, head.map(() => "---"), ...rows];
  return lines
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`)
    .join("\n");
}
