/** OpenTelemetry's variables, as far as its SDK does not read them itself. */
import { TurnaboutError } from "../wire/errors.ts";
import { MAX_QUEUED_SPANS } from "./limits.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Whether spans are exported at all: an endpoint is named, and nothing switches them off. @throws TurnaboutError `config_invalid` */
export function isTraced(env: Environment): boolean {
  const endpoint =
    text(env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") ?? text(env, "OTEL_EXPORTER_OTLP_ENDPOINT");
  if (endpoint === undefined || text(env, "OTEL_SDK_DISABLED")?.toLowerCase() === "true") return false;
  const exporter = text(env, "OTEL_TRACES_EXPORTER") ?? "otlp";
  if (exporter === "none") return false;
  if (exporter !== "otlp") throw invalid("OTEL_TRACES_EXPORTER", "use otlp or none");
  if (!/^https?:\/\//i.test(endpoint) || !URL.canParse(endpoint)) {
    throw invalid(
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      "use an http:// or https:// URL, such as http://localhost:4318",
    );
  }
  const protocol =
    text(env, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") ?? text(env, "OTEL_EXPORTER_OTLP_PROTOCOL") ?? "";
  if (protocol === "grpc") {
    throw invalid(
      "OTEL_EXPORTER_OTLP_PROTOCOL",
      "spans leave as http/json: name the collector's HTTP port, usually 4318",
    );
  }
  return true;
}

export type SamplerName = "always_on" | "always_off" | "traceidratio";

export interface SamplerChoice {
  name: SamplerName;
  /** Of traces that begin here. */
  ratio: number;
  /** The decision of the caller counts, where there is one. */
  isParentBased: boolean;
}

const PARENT_BASED = "parentbased_";
const SAMPLERS: readonly string[] = ["always_on", "always_off", "traceidratio"];

/** @throws TurnaboutError `config_invalid` */
export function samplerChoice(env: Environment): SamplerChoice {
  const given = text(env, "OTEL_TRACES_SAMPLER") ?? "parentbased_always_on";
  const isParentBased = given.startsWith(PARENT_BASED);
  const name = isParentBased ? given.slice(PARENT_BASED.length) : given;
  if (!SAMPLERS.includes(name)) {
    throw invalid("OTEL_TRACES_SAMPLER", `use ${SAMPLERS.join(", ")}, or one of them behind ${PARENT_BASED}`);
  }
  const ratio = Number(text(env, "OTEL_TRACES_SAMPLER_ARG") ?? "1");
  if (!(ratio >= 0 && ratio <= 1)) throw invalid("OTEL_TRACES_SAMPLER_ARG", "use a number from 0 to 1");
  return { name: name as SamplerName, ratio, isParentBased };
}

export interface BatchLimits {
  scheduledDelayMillis: number;
  exportTimeoutMillis: number;
  maxQueueSize: number;
  maxExportBatchSize: number;
}

/** @throws TurnaboutError `config_invalid` */
export function batchLimits(env: Environment): BatchLimits {
  const maxQueueSize = count(env, "OTEL_BSP_MAX_QUEUE_SIZE", 2_048, MAX_QUEUED_SPANS);
  return {
    scheduledDelayMillis: count(env, "OTEL_BSP_SCHEDULE_DELAY", 5_000, 600_000),
    exportTimeoutMillis: count(env, "OTEL_BSP_EXPORT_TIMEOUT", 30_000, 600_000),
    maxQueueSize,
    maxExportBatchSize: Math.min(
      maxQueueSize,
      count(env, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, MAX_QUEUED_SPANS),
    ),
  };
}

function count(env: Environment, name: string, standard: number, max: number): number {
  const value = Number(text(env, name) ?? standard);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw invalid(name, `use a whole number from 1 to ${max}`);
}

/** An empty value counts as none. */
function text(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === "" ? undefined : value;
}

function invalid(name: string, hint: string): TurnaboutError {
  return new TurnaboutError("config_invalid", `${name} cannot be used`, { hint });
}
