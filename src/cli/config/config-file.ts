/** Reads and checks a configuration file. Loaded only where one is given: it needs a YAML parser and the schema. */
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { isMap, isNode, isScalar, LineCounter, parseDocument } from "yaml";
import type { Document, Pair } from "yaml";
import { defaultHttp, parseTargetAddress } from "../../agent/targets/targets.ts";
import type { Runner, Target } from "../../agent/targets/targets.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { systemErrorHint } from "../../wire/system/system-errors.ts";
import { AGENT_OPTIONS } from "./agent-options.ts";
import type { FileRunners } from "./agent-runners.ts";
import type { FileValues } from "./given.ts";
import { MAX_CONFIG_FILE_BYTES } from "./limits.ts";
import { keyOf, specsOf } from "./option.ts";
import type { OptionTable } from "./option.ts";
import { configError, isSecretText, problemsOf } from "./problems.ts";
import type { Problem } from "./problems.ts";
import { fileSchema } from "./schema.ts";
import type { FileTarget } from "./schema.ts";
import { SERVE_OPTIONS } from "./serve-options.ts";

export interface ConfigFile {
  serve: FileValues | undefined;
  agent: { values: FileValues; runners: FileRunners } | undefined;
}

/** @throws TurnaboutError `config_invalid` with every problem, its line and its column */
export function readConfigFile(file: string): ConfigFile {
  const text = readText(file);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const placeOf = (problem: Problem): string => at(offsetOf(document, problem));
  const [fault] = document.errors;
  if (fault !== undefined) {
    // The message of a YAML error may quote the line, and so a secret: only the first sentence is used.
    const [what = ""] = fault.message.split("\n", 1);
    const message = fault.code === "DUPLICATE_KEY" ? "this key is there already" : what;
    const hint =
      fault.code === "DUPLICATE_KEY"
        ? "keep one of them"
        : "correct the YAML: nested keys are indented by two spaces, never by tabs";
    throw new TurnaboutError("config_invalid", `${at(fault.pos[0])}: ${message}`, { hint });
  }
  const root = plainValue(document, file);
  const parsed = fileSchema.safeParse(root);
  if (!parsed.success) {
    const problems = problemsOf(parsed.error, root);
    throw configError(
      problems.toSorted((a, b) => offsetOf(document, a) - offsetOf(document, b)),
      placeOf,
    );
  }
  const content = parsed.data as {
    serve?: Record<string, unknown>;
    agent?: Record<string, unknown> & AgentExtras;
  };
  const secrets = [
    ...secretsIn("serve", SERVE_OPTIONS, content.serve),
    ...secretsIn("agent", AGENT_OPTIONS, content.agent),
  ];
  if (content.agent?.runners !== undefined && (content.agent.runner ?? content.agent.targets) !== undefined)
    secrets.push({
      path: ["agent", "runners"],
      isKey: true,
      message: "runners beside runner or targets",
      hint: "put all runners into runners",
    });
  if (secrets.length > 0) throw configError(secrets, placeOf);
  const folder = path.dirname(path.resolve(file));
  return {
    serve: content.serve === undefined ? undefined : valuesOf(SERVE_OPTIONS, content.serve, folder),
    agent:
      content.agent === undefined
        ? undefined
        : { values: valuesOf(AGENT_OPTIONS, content.agent, folder), runners: runnersOf(content.agent) },
  };
}

function readText(file: string): string {
  try {
    if (statSync(file).size > MAX_CONFIG_FILE_BYTES)
      throw new Error(`larger than ${MAX_CONFIG_FILE_BYTES} bytes`);
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new TurnaboutError("config_invalid", `configuration file ${file}: ${toError(cause).message}`, {
      cause,
      hint: systemErrorHint(cause, "file") ?? "give a smaller file",
    });
  }
}

/** Without the keys that are there for YAML anchors only. */
function plainValue(document: Document, file: string): unknown {
  let value: unknown;
  try {
    value = document.toJS(); // bounds the expansion of aliases
  } catch (cause) {
    throw new TurnaboutError("config_invalid", `${file}: ${toError(cause).message}`, {
      cause,
      hint: "use fewer aliases",
    });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value ?? {};
  return Object.fromEntries(Object.entries(value).filter(([key]) => !key.startsWith("x-")));
}

/** The place of the value, or of what holds it where it is missing or comes from an alias. */
function offsetOf(document: Document, { path: parts, isKey = false }: Problem): number {
  for (let length = parts.length; length > 0; length -= 1) {
    const inner = parts.slice(0, length);
    if (isKey || length < parts.length) {
      const key = keyOffset(document, inner);
      if (key !== undefined) return key;
    }
    const node = document.getIn(inner, true);
    if (isNode(node) && node.range !== undefined && node.range !== null) return node.range[0];
    const key = keyOffset(document, inner);
    if (key !== undefined) return key;
  }
  return document.contents?.range?.[0] ?? 0;
}

function keyOffset(document: Document, parts: readonly PropertyKey[]): number | undefined {
  const holder = parts.length === 1 ? document.contents : document.getIn(parts.slice(0, -1), true);
  if (!isMap(holder)) return undefined;
  const pair = holder.items.find(({ key }: Pair) => isScalar(key) && key.value === parts.at(-1));
  return isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
}

/** Files are relative to the folder of the configuration file. */
function valuesOf(
  table: OptionTable,
  content: Readonly<Record<string, unknown>>,
  folder: string,
): FileValues {
  const values: Record<string, string | boolean | readonly string[]> = {};
  for (const [name, spec] of specsOf(table)) {
    const value = content[keyOf(name, spec)];
    if (name === "runner" || name === "target" || value === undefined) continue;
    if (typeof value === "boolean") values[name] = value;
    else if (Array.isArray(value)) values[name] = value.map(String);
    else if (typeof value === "number") values[name] = String(value);
    else if (typeof value === "string")
      values[name] = spec.kind === "file" ? resolveFile(value, folder) : value;
  }
  return values;
}

/** `-` and `off` are no files, where they are accepted. */
function resolveFile(file: string, folder: string): string {
  return file === "-" || file === "off" ? file : path.resolve(folder, file);
}

function secretsIn(
  section: string,
  table: OptionTable,
  content: Readonly<Record<string, unknown>> = {},
): Problem[] {
  return specsOf(table).flatMap(([name, spec]) => {
    const key = keyOf(name, spec);
    const value = content[key];
    if (spec.kind !== "file" || typeof value !== "string" || !isSecretText(value)) return [];
    const message = `${key}: a secret or certificate itself, in place of the name of its file`;
    return [{ path: [section, key], message, hint: "put it into a file of its own, mode 0600" }];
  });
}

interface AgentExtras {
  runner?: string;
  targets?: FileTarget[];
  runners?: { id: string; targets?: FileTarget[] }[];
}

function runnersOf({ runner, targets, runners }: AgentExtras): FileRunners {
  return {
    runner,
    targets: targets?.map(toTarget),
    runners: runners?.map((each): Runner => ({ id: each.id, targets: (each.targets ?? []).map(toTarget) })),
  };
}

function toTarget({ name, address, http, host, rewrite }: FileTarget): Target {
  return {
    name,
    address: parseTargetAddress(address),
    http: http ?? defaultHttp(name),
    ...(host !== undefined && { host }),
    ...(rewrite === false && { rewrite: "off" }),
  };
}
