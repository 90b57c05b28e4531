/**
 * What is stored, as JSON: a record for each node, which is its lease, and one for each runner, with its places at nodes. Unknown
 * members are ignored, so that different versions work together; a record that is malformed counts as absent.
 */
import * as z from "zod";
import { isRunnerId } from "../../wire/messages/names.ts";
import { TARGET_HTTP } from "../../wire/messages/hello.ts";
import type { TargetInfo } from "../../wire/messages/hello.ts";

const MAX_TEXT = 512;
const text: z.ZodType<string> = z.string().max(MAX_TEXT);
const count: z.ZodType<number> = z.number().int().nonnegative();

export interface NodeRecord {
  /** Random, for one lease of one process. */
  epoch: string;
  /** Another one with each renewal. */
  beat: number;
  url: string;
  version: string;
}

/** An agent process at a node. */
export interface PlaceRecord {
  node: string;
  epoch: string;
  process: string;
  bootMs: number;
  credential: string;
  generation: number;
  standby: boolean;
  discovered: boolean;
  streams: number;
  targets: TargetInfo[];
}

export interface RunnerRecord {
  /** That holds the runner, or held it last; absent if none does. */
  credential?: string | undefined;
  /** Of the newest process that there was. */
  generation: number;
  places: PlaceRecord[];
}

const nodeSchema: z.ZodType<NodeRecord> = z.object({ epoch: text, beat: count, url: text, version: text });

const targetSchema: z.ZodType<TargetInfo> = z
  .object({
    name: text,
    http: z.enum(TARGET_HTTP).catch("auto"),
    rewrite: z.string().optional(),
    host: z.string().optional(),
  })
  .transform(({ name, http, rewrite, host }) => ({
    name,
    http,
    ...(rewrite === "off" && { rewrite: "off" as const }),
    ...(host !== undefined && { host }),
  }));

const runnerSchema: z.ZodType<RunnerRecord> = z.object({
  credential: text.optional(),
  generation: count,
  places: z.array(
    z.object({
      node: text,
      epoch: text,
      process: text,
      bootMs: z.number(),
      credential: text,
      generation: count,
      standby: z.boolean(),
      discovered: z.boolean(),
      streams: count,
      targets: z.array(targetSchema),
    }),
  ),
});

const NODE = "nodes.";
const RUNNER = "runners.";

export function nodeKey(nodeId: string): string {
  return NODE + nodeId;
}

export function runnerKey(runnerId: string): string {
  return RUNNER + runnerId;
}

/** Undefined for keys of others. */
export function parseKey(key: string): { kind: "node" | "runner"; id: string } | undefined {
  for (const [kind, prefix] of [
    ["node", NODE],
    ["runner", RUNNER],
  ] as const) {
    if (!key.startsWith(prefix)) continue;
    const id = key.slice(prefix.length);
    return isRunnerId(id) ? { kind, id } : undefined;
  }
  return undefined;
}

export function parseNode(value: string | undefined): NodeRecord | undefined {
  return parse(nodeSchema, value);
}

export function parseRunner(value: string | undefined): RunnerRecord | undefined {
  return parse(runnerSchema, value);
}

/** Members in a fixed order, so that equal records are equal texts. */
export function encodeRunner({ credential, generation, places }: RunnerRecord): string {
  return JSON.stringify({ credential, generation, places: places.map(orderedPlace) });
}

export function encodePlace(place: PlaceRecord): string {
  return JSON.stringify(orderedPlace(place));
}

function orderedPlace(place: PlaceRecord): PlaceRecord {
  const { node, epoch, process, bootMs, credential, generation, standby, discovered, streams } = place;
  const targets = place.targets.map(({ name, http, rewrite, host }) => ({
    name,
    http,
    ...(rewrite !== undefined && { rewrite }),
    ...(host !== undefined && { host }),
  }));
  return { node, epoch, process, bootMs, credential, generation, standby, discovered, streams, targets };
}

function parse<T>(schema: z.ZodType<T>, value: string | undefined): T | undefined {
  if (value === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(value)).data;
  } catch {
    return undefined;
  }
}

/** Whether a place belongs to this agent process at this node. */
export function isSamePlace(
  place: Pick<PlaceRecord, "process" | "discovered">,
  processId: string,
  discovered: boolean,
): boolean {
  return place.process === processId && place.discovered === discovered;
}
