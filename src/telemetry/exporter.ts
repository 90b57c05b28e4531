/**
 * Exports spans by OTLP over HTTP, where OpenTelemetry's variables name a collector. Its SDK is loaded only then. A collector that is
 * down, slow or hostile costs spans, and nothing else: a bounded number of them waits, and the problem is logged once.
 */
import type { Logger } from "../wire/log.ts";
import type { Tracing } from "../wire/trace/tracing.ts";
import { errorCodeOf, toError, TurnaboutError } from "../wire/errors.ts";
import { VERSION } from "../wire/version.ts";
import { batchLimits, isTraced, samplerChoice } from "./environment.ts";
import type { Environment, SamplerChoice } from "./environment.ts";
import { MAX_ATTRIBUTE_LENGTH, MAX_REASON_LENGTH, TRACE_CLOSE_MS } from "./limits.ts";
import type { Sampler, SpanExporter } from "@opentelemetry/sdk-trace";

export interface Telemetry {
  readonly tracing: Tracing;
  /** Sends the last spans, for a bounded time. */
  close(): Promise<void>;
}

export interface TelemetryOptions {
  /** Unless a variable names another one. */
  service: string;
  log: Logger;
  env?: Environment;
}

/** Undefined where no collector is named. @throws TurnaboutError `config_invalid` */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry | undefined> {
  const { service, log, env = process.env } = options;
  if (!isTraced(env)) return undefined;
  const choice = samplerChoice(env);
  const limits = batchLimits(env);
  const { trace, resources, otlp, api } = await loadSdk();
  const exporter = new ReportingExporter(new otlp.OTLPTraceExporter(), log);
  const resource = resources
    .defaultResource()
    .merge(resources.resourceFromAttributes({ "service.name": service, "service.version": VERSION }))
    .merge(resources.detectResources({ detectors: [resources.envDetector] }));
  const provider = new trace.TracerProvider({
    resource,
    sampler: samplerOf(trace, choice),
    spanLimits: { attributeValueLengthLimit: MAX_ATTRIBUTE_LENGTH },
    spanProcessors: [new trace.BatchSpanProcessor({ exporter, ...limits })],
  });
  log.info({}, "tracing is on");
  return {
    tracing: api.openTelemetry(provider),
    close: () => atMost(TRACE_CLOSE_MS, provider.shutdown()),
  };
}

type TraceSdk = typeof import("@opentelemetry/sdk-trace");

interface Sdk {
  trace: TraceSdk;
  resources: typeof import("@opentelemetry/resources");
  otlp: typeof import("@opentelemetry/exporter-trace-otlp-http");
  api: typeof import("./open-telemetry.ts");
}

/** @throws TurnaboutError `config_invalid` where they are not installed */
async function loadSdk(): Promise<Sdk> {
  try {
    const [trace, resources, otlp, api] = await Promise.all([
      import("@opentelemetry/sdk-trace"),
      import("@opentelemetry/resources"),
      import("@opentelemetry/exporter-trace-otlp-http"),
      import("./open-telemetry.ts"),
    ]);
    return { trace, resources, otlp, api };
  } catch (cause) {
    throw new TurnaboutError(
      "config_invalid",
      "OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry's SDK cannot be loaded",
      {
        cause,
        hint: "npm install @opentelemetry/api @opentelemetry/sdk-trace @opentelemetry/resources @opentelemetry/exporter-trace-otlp-http, beside turnabout",
      },
    );
  }
}

function samplerOf(sdk: TraceSdk, { name, ratio, isParentBased }: SamplerChoice): Sampler {
  const root =
    name === "always_on"
      ? new sdk.AlwaysOnSampler()
      : name === "always_off"
        ? new sdk.AlwaysOffSampler()
        : new sdk.TraceIdRatioBasedSampler(ratio);
  return isParentBased ? new sdk.ParentBasedSampler({ root }) : root;
}

/** Logs the first of several failures, and the success after them. */
class ReportingExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #log: Logger;
  #lostSpans = 0;

  constructor(exporter: SpanExporter, log: Logger) {
    this.#exporter = exporter;
    this.#log = log;
  }

  export(...[spans, onResult]: Parameters<SpanExporter["export"]>): void {
    this.#exporter.export(spans, (result) => {
      this.#note(spans.length, result.error);
      onResult(result);
    });
  }

  #note(spans: number, error: Error | undefined): void {
    if (error !== undefined) {
      const isFirst = this.#lostSpans === 0;
      this.#lostSpans += spans;
      if (isFirst)
        this.#log.warn({ reason: reasonOf(error) }, "spans are lost: the collector does not take them");
    } else if (this.#lostSpans > 0) {
      this.#log.info({ lostSpans: this.#lostSpans }, "the collector takes spans again");
      this.#lostSpans = 0;
    }
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush?.() ?? Promise.resolve();
  }
}

function reasonOf(error: unknown): string {
  const { message } = toError(error);
  return (message === "" ? (errorCodeOf(error) ?? "unknown error") : message).slice(0, MAX_REASON_LENGTH);
}

/** What a collector fails with at the end has been logged. */
async function atMost(ms: number, work: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  work.then(resolve, resolve);
  await promise;
  clearTimeout(timer);
}
