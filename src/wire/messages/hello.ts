/**
 * `GET /hello`: what an agent says of itself, as JSON. Unknown fields are ignored on both sides, so that old and new
 * versions meet; everything that is used is checked here, once.
 */
import { TurnaboutError } from "../errors.ts";
import { MAX_RUNNERS_PER_CONNECTION, MAX_TARGETS_PER_RUNNER } from "../limits.ts";
import { isRunnerId, isTargetHost, isTargetName } from "./names.ts";

/** How a target speaks HTTP. `auto`: HTTP/1, its version remembered from its answers (RFC 9112 §6.1). `2`: HTTP/2 on a
 * plain connection, with prior knowledge (RFC 9113 §3.3). */
export type TargetHttp = (typeof TARGET_HTTP)[number];

export const TARGET_HTTP = ["auto", "1.0", "1.1", "2"] as const;

export interface TargetInfo {
  name: string;
  http: TargetHttp;
  /** Its addresses in header fields of responses are for the callers to read as it writes them. Default: they are rewritten. */
  rewrite?: "off";
  /** `HOST` or `HOST:PORT` by which the target knows itself: what callers of its route make it see. Default `localhost`. */
  host?: string;
}

export interface RunnerInfo {
  id: string;
  targets: TargetInfo[];
  /** The agent has found it and is not it: an agent that registers this runner as its own comes first. */
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
  /** It has been replaced before: register it only where no other instance serves its runners. */
  standby: boolean;
  capabilities: string[];
  runners: RunnerInfo[];
}

const MAX_CAPABILITIES = 64;
const MAX_TEXT_LENGTH = 128;

/** @throws TurnaboutError `tunnel_protocol` saying which field is wrong */
export function parseHello(value: unknown): Hello {
  const hello = record(value, "hello");
  const protocol = hello["protocol"];
  if (typeof protocol !== "number" || !Number.isInteger(protocol) || protocol < 1) {
    throw wrong("hello.protocol");
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
    runners: distinct(
      list(hello["runners"], "hello.runners", MAX_RUNNERS_PER_CONNECTION).map(parseRunner),
      ({ id }) => id,
      "hello.runners",
    ),
  };
}

/** @throws TurnaboutError `tunnel_protocol` saying which field is wrong */
export function parseRunner(value: unknown): RunnerInfo {
  const runner = record(value, "runner");
  const id = runner["id"];
  if (typeof id !== "string" || !isRunnerId(id)) throw wrong("runner.id");
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
  if (typeof name !== "string" || !isTargetName(name)) throw wrong("target.name");
  const host = target["host"];
  return {
    name,
    http: TARGET_HTTP.find((http) => http === target["http"]) ?? "auto",
    ...(target["rewrite"] === "off" && { rewrite: "off" }),
    ...(typeof host === "string" && isTargetHost(host) && { host }),
  };
}

/** The largest time that a `Date` can be (ECMA-262 §21.4.1.1): one beyond it throws wherever it is shown. */
const MAX_TIME_MS = 8.64e15;

/** 0, which is unknown, where it is absent or a number that is no time. */
function moment(value: unknown): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== "number") throw wrong("hello.bootEpochMs");
  const ms = Math.round(value);
  return ms > 0 && ms <= MAX_TIME_MS ? ms : 0;
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(what);
  return value as Record<string, unknown>;
}

function list(value: unknown, what: string, most: number): unknown[] {
  if (!Array.isArray(value)) throw wrong(what);
  if (value.length > most) throw wrong(`${what} (more than ${most})`);
  return value;
}

/** Each may be named once: of two there would be no saying which counts. */
function distinct<T>(items: T[], nameOf: (item: T) => string, what: string): T[] {
  const names = new Set(items.map(nameOf));
  if (names.size !== items.length) throw wrong(`${what} (one is there twice)`);
  return items;
}

/** False where it is absent. */
function flag(value: unknown, what: string): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value !== "boolean") throw wrong(what);
  return value;
}

function shortText(value: unknown, what: string): string {
  if (!isShortText(value)) throw wrong(what);
  return value;
}

/** A version, an instance, a capability. */
export function isShortText(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_TEXT_LENGTH;
}

function wrong(what: string): TurnaboutError {
  return new TurnaboutError("tunnel_protocol", `hello: ${what} is missing or not valid`);
}
