/** The schema of the configuration file, from the tables of options. */
// Not `{ z }`: of a namespace the bundle of an agent has only what is used, and not zod's texts in fifty languages.
import * as z from "zod";
import { parseEngineUrl } from "../../agent/discovery/engine-url.ts";
import { parseListenAddress } from "../../agent/relay/listen-address.ts";
import { parseTargetAddress } from "../../agent/targets/targets.ts";
import { endpointUrl } from "../../agent/transport/server-url.ts";
import { AddressSet } from "../../control/trusted-proxies/addresses.ts";
import { toError } from "../../wire/errors.ts";
import { TARGET_HTTP } from "../../wire/messages/hello.ts";
import type { TargetHttp } from "../../wire/messages/hello.ts";
import { isTargetHost, parseRunnerId, parseTargetName } from "../../wire/messages/names.ts";
import { MAX_COUNT, MAX_SECONDS } from "../options.ts";
import { AGENT_OPTIONS } from "./agent-options.ts";
import { keyOf, specsOf } from "./option.ts";
import type { OptionSpec, OptionTable } from "./option.ts";
import { SERVE_OPTIONS } from "./serve-options.ts";

export const CONFIG_VERSION = 1;

/** Texts that the library would refuse later, without the line of the file. */
const CHECKS: Readonly<Record<string, (text: string) => unknown>> = {
  server: (text) => endpointUrl(text),
  docker: parseEngineUrl,
  listen: parseListenAddress,
  "trusted-proxy": (text) => new AddressSet([text]),
  "plain-http-from": (text) => new AddressSet([text], "plain HTTP from"),
  "ready-when": parseRunnerId,
};

function checked(check: (text: string) => unknown): z.ZodString {
  return z
    .string()
    .min(1)
    .superRefine((text, context) => {
      try {
        check(text);
      } catch (error) {
        const { hint } = error as { hint?: string };
        context.addIssue({ code: "custom", message: toError(error).message, params: { hint } });
      }
    });
}

function itemOf(name: string, { kind, choices = [], min = 0, max }: OptionSpec): z.ZodType {
  switch (kind) {
    case "text":
    case "file":
      return Object.hasOwn(CHECKS, name) ? checked(CHECKS[name] ?? (() => {})) : z.string().min(1);
    case "port":
      return z.int().min(0).max(65_535);
    case "seconds":
      return z
        .number()
        .min(min)
        .max(max ?? MAX_SECONDS);
    case "count":
      return z
        .int()
        .min(min)
        .max(max ?? MAX_COUNT);
    case "switch":
      return z.boolean();
    case "choice":
      return z.enum(choices);
  }
}

function describe(spec: OptionSpec): string {
  const { text, default: value } = spec;
  return value === true ? `false: ${text}` : text;
}

function shapeOf(table: OptionTable, without: readonly string[] = []): Record<string, z.ZodType> {
  const described = specsOf(table).filter(([name]) => !without.includes(name));
  return Object.fromEntries(
    described.map(([name, spec]) => {
      const item = itemOf(name, spec);
      const whole = spec.many === true ? z.array(item) : item;
      const meta = {
        description: describe(spec),
        ...(spec.default !== undefined && { default: spec.default }),
      };
      return [keyOf(name, spec), whole.optional().meta(meta)];
    }),
  );
}

const runnerId = checked(parseRunnerId).meta({ description: "its id: a-z, 0-9, _ and -" });

const targetSchema = z
  .strictObject({
    name: checked(parseTargetName).meta({ description: "name under which callers reach it" }),
    address: checked(parseTargetAddress).meta({ description: "unix:/path or host:port" }),
    http: z.enum(TARGET_HTTP).optional().meta({
      description:
        "how it speaks HTTP; default auto, for a target named wolf 1.0. In quotes: YAML reads 1.0 as a number",
    }),
    host: checked((text) => {
      if (!isTargetHost(text)) throw new Error(`host ${JSON.stringify(text)}: use HOST or HOST:PORT`);
    })
      .optional()
      .meta({ description: "the Host of its requests; default localhost" }),
    rewrite: z.boolean().optional().meta({
      description: "false: leave the addresses in its redirects as they are",
      default: true,
    }),
  })
  .meta({ description: "a target: nothing else can be reached through the agent" });

const targetsSchema = z.array(targetSchema).superRefine((targets, context) => {
  const names = new Set<string>();
  for (const [index, { name }] of targets.entries()) {
    if (names.has(name))
      context.addIssue({ code: "custom", path: [index, "name"], message: `target ${name} is listed twice` });
    names.add(name);
  }
});

const runnerSchema = z.strictObject({
  id: runnerId,
  targets: targetsSchema.optional().meta({ description: "none where docker is given" }),
});

export interface FileTarget {
  name: string;
  address: string;
  http?: TargetHttp | undefined;
  host?: string | undefined;
  rewrite?: boolean | undefined;
}

export const serveSchema: z.ZodObject = z
  .strictObject(shapeOf(SERVE_OPTIONS))
  .meta({ description: "options of `turnabout serve`" });

export const agentSchema: z.ZodObject = z
  .strictObject({
    ...shapeOf(AGENT_OPTIONS, ["runner", "target"]),
    runner: runnerId.optional().meta({ description: "runner to register; for several use runners" }),
    targets: targetsSchema.optional().meta({ description: "targets of runner" }),
    runners: z.array(runnerSchema).optional().meta({
      description: "runners to register, in place of runner and targets",
    }),
  })
  .meta({ description: "options of `turnabout agent`" });

export const fileSchema: z.ZodObject = z
  .strictObject({
    version: z.literal(CONFIG_VERSION).meta({ description: "version of this format" }),
    serve: serveSchema.optional(),
    agent: agentSchema.optional(),
  })
  .meta({ title: "Turnabout", description: "Configuration file of turnabout serve and turnabout agent" });

/** For editors. Keys that begin with `x-` are for YAML anchors. */
export function jsonSchema(): object {
  const schema = z.toJSONSchema(fileSchema, { io: "input" });
  return { ...schema, patternProperties: { "^x-": {} } };
}

const TARGETS_KEYS = Object.keys(targetSchema.shape);
const RUNNER_KEYS = Object.keys(runnerSchema.shape);

/** What a key may belong to. */
export type KeyPlace = "top" | "serve" | "agent" | "target" | "runner";

/** Its keys; those of the sections by the names of their flags too. */
export const KEYS: Readonly<Record<KeyPlace, readonly string[]>> = {
  top: Object.keys(fileSchema.shape),
  serve: Object.keys(serveSchema.shape),
  agent: Object.keys(agentSchema.shape),
  target: TARGETS_KEYS,
  runner: RUNNER_KEYS,
};

/** The key of a section by the name of its flag, where they differ in more than their spelling: `target` is `targets`. */
export function keyOfFlag(place: KeyPlace, flag: string): string | undefined {
  const table: OptionTable | undefined =
    place === "serve" ? SERVE_OPTIONS : place === "agent" ? AGENT_OPTIONS : undefined;
  const spec = table !== undefined && Object.hasOwn(table, flag) ? table[flag] : undefined;
  return spec === undefined ? undefined : keyOf(flag, spec);
}

export function placeOfPath(path: readonly PropertyKey[]): KeyPlace {
  const names = path.filter((part) => typeof part === "string");
  const [section] = names;
  if (section === undefined) return "top";
  const last = names.at(-1);
  if (last === "targets") return "target";
  if (last === "runners") return "runner";
  return section === "serve" ? "serve" : "agent";
}
