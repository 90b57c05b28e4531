/**
 * `GET /hello`: an agent describes itself, as JSON. Unknown members are ignored on both sides, so that different versions
 * work together; everything that is used is validated here, once.
 */
import { TurnaboutError } from "../errors.ts";
import {
  MAX_RUNNERS_PER_CONNECTION,
  MAX_STREAMS_PER_TARGET,
  MAX_TARGETS_PER_RUNNER,
  UNANNOUNCED_STREAMS_PER_TARGET,
} from "../limits.ts";
import { isRunnerId, isTargetHost, isTargetName } from "./names.ts";

/** How a target speaks HTTP. `auto`: HTTP/1, its version remembered from its responses (RFC 9112 §6.1). `2`: HTTP/2 on a
 * plain connection, with prior knowledge (RFC 9113 §3.3). */
export type TargetHttp = (typeof TARGET_HTTP)[number];

export const TARGET_HTTP = ["auto", "1.0", "1.1", "2"] as const;

export interface TargetInfo {
  name: string;
  http: TargetHttp;
  /** `off`: addresses in the target's response fields reach the caller unchanged. Default: they are rewritten. */
  rewrite?: "off";
  /** The `Host` that the target receives from callers of its route: `HOST` or `HOST:PORT`. Default `localhost`. */
  host?: string;
}

export interface RunnerInfo {
  id: string;
  targets: TargetInfo[];
  /** The agent has discovered this runner and forwards to it: an agent that registers it as its own takes precedence. */
  discovered?: true;
}

export interface Hello {
  protocol: number;
  /** Software version of the agent, for people. */
  version: string;
  /** Random id of the agent process; connections with the same one belong together. */
  instance: string;
  /** When the agent process started, in Unix milliseconds: a reconnect keeps it, a restart does not. */
  bootEpochMs: number;
  /** It has been replaced before: its runners are registered only where no other agent process serves them. */
  standby: boolean;
  capabilities: string[];
  /** Streams that it takes to one target at once. */
  streamsPerTarget: number;
  runners: RunnerInfo[];
}

const MAX_CAPABILITIES = 64;
const MAX_TEXT_LENGTH = 128;

/** @throws TurnaboutError `tunnel_protocol` that names the invalid member */
export function parseHello(value: unknown): Hello {
  const hello = record(value, "hello");
  const protocol = hello["protocol"];
  if (typeof protocol !== "number" || !Number.isSafeInteger(protocol) || protocol < 1) {
    throw invalid("hello.protocol");
  }
  return {
    protocol,
    version: shortText(hello["version"], "hello.version"),
    instance: shortText(hello["instance"], "hello.instance"),
    bootEpochMs: moment(hello["bootEpochMs"]),
    standby: flag(hello["standby"], "hello.standby"),
    capabilities: list(hello["capabilities"] ?? [], "hello.capabilities", MAX_CAPABILITIES).map((item) =>
      shortText(item, "hello.capabilities"),
    ),
    streamsPerTarget: streamsPerTarget(hello["streamsPerTarget"]),
    runners: distinct(
      list(hello["runners"], "hello.runners", MAX_RUNNERS_PER_CONNECTION).map(parseRunner),
      ({ id }) => id,
      "hello.runners",
    ),
  };
}

/** @throws TurnaboutError `tunnel_protocol` that names the invalid member */
export function parseRunner(value: unknown): RunnerInfo {
  const runner = record(value, "runner");
  const id = runner["id"];
  if (typeof id !== "string" || !isRunnerId(id)) throw invalid("runner.id");
  return {
    id,
    targets: distinct(
      list(runner["targets"] ?? [], "runner.targets", MAX_TARGETS_PER_RUNNER).map(parseTarget),
      ({ name }) => name,
      "runner.targets",
    ),
    ...(flag(runner["discovered"], "runner.discovered") && { discovered: true }),
  };
}

function parseTarget(value: unknown): TargetInfo {
  const target = record(value, "target");
  const name = target["name"];
  if (typeof name !== "string" || !isTargetName(name)) throw invalid("target.name");
  const host = target["host"];
  return {
    name,
    http: TARGET_HTTP.find((http) => http === target["http"]) ?? "auto",
    ...(target["rewrite"] === "off" && { rewrite: "off" }),
    ...(typeof host === "string" && isTargetHost(host) && { host }),
  };
}

/** Maximum time value of a `Date` (ECMA-262 §21.4.1.1): formatting a later one throws. */
const MAX_TIME_MS = 8.64e15;

/** 0 (unknown) if it is absent, or not a valid time. */
function moment(value: unknown): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== "number") throw invalid("hello.bootEpochMs");
  const ms = Math.round(value);
  return ms > 0 && ms <= MAX_TIME_MS ? ms : 0;
}

function streamsPerTarget(value: unknown): number {
  if (value === undefined || value === null) return UNANNOUNCED_STREAMS_PER_TARGET;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1)
    throw invalid("hello.streamsPerTarget");
  return Math.min(value, MAX_STREAMS_PER_TARGET);
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(what);
  return value as Record<string, unknown>;
}

function list(value: unknown, what: string, max: number): unknown[] {
  if (!Array.isArray(value)) throw invalid(what);
  if (value.length > max) throw invalid(`${what} (more than ${max})`);
  return value;
}

/** Names are unique: of two entries with one name, it would be undefined which counts. */
function distinct<T>(items: T[], nameOf: (item: T) => string, what: string): T[] {
  const names = new Set(items.map(nameOf));
  if (names.size !== items.length) throw invalid(`${what} (one occurs twice)`);
  return items;
}

/** False where it is absent. */
function flag(value: unknown, what: string): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value !== "boolean") throw invalid(what);
  return value;
}

function shortText(value: unknown, what: string): string {
  if (!isShortText(value)) throw invalid(what);
  return value;
}

/** A version, a process id, a capability. */
export function isShortText(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_TEXT_LENGTH;
}

function invalid(what: string): TurnaboutError {
  return new TurnaboutError("tunnel_protocol", `hello: ${what} is missing or invalid`);
}
