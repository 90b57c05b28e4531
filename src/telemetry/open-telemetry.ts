/** {@link Tracing} by OpenTelemetry's API: spans go to whatever the provider exports them to. */
import {
  context,
  createTraceState,
  ROOT_CONTEXT,
  SpanKind as OtelKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import type { Context, Span, TracerProvider } from "@opentelemetry/api";
import { VERSION } from "../wire/version.ts";
import type { TraceFields } from "../wire/trace/trace-fields.ts";
import type { SpanAttributes, SpanKind, SpanOptions, TraceSpan, Tracing } from "../wire/trace/tracing.ts";

const KINDS: Readonly<Record<SpanKind, OtelKind>> = {
  server: OtelKind.SERVER,
  client: OtelKind.CLIENT,
  internal: OtelKind.INTERNAL,
};

/**
 * For the option `tracing` of a control plane and of an agent.
 *
 * @example
 * ```ts
 * import { trace } from "@opentelemetry/api";
 * const controlPlane = await createControlPlane({ tracing: openTelemetry(trace.getTracerProvider()) });
 * ```
 */
export function openTelemetry(provider: TracerProvider): Tracing {
  const tracer = provider.getTracer("turnabout", VERSION);
  return {
    start(name, { kind, attributes, ...place }) {
      try {
        const options = { kind: KINDS[kind], attributes: defined(attributes) };
        return new OtelSpan(tracer.startSpan(name, options, parentOf(place)));
      } catch {
        return undefined; // of a provider that is not ours: no request fails for it
      }
    },
  };
}

class OtelSpan implements TraceSpan {
  readonly span: Span;
  readonly traceId: string;
  readonly traceparent: string;
  readonly tracestate: string | undefined;
  #hasEnded = false;

  constructor(span: Span) {
    const { traceId, spanId, traceFlags, traceState } = span.spanContext();
    this.span = span;
    this.traceId = traceId;
    this.traceparent = `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, "0")}`;
    const state = traceState?.serialize();
    this.tracestate = state === "" ? undefined : state;
  }

  end(attributes: SpanAttributes, errorType: string | undefined): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    try {
      this.span.setAttributes(defined({ ...attributes, "error.type": errorType }));
      if (errorType !== undefined) this.span.setStatus({ code: SpanStatusCode.ERROR });
      this.span.end();
    } catch {
      // As above.
    }
  }
}

function parentOf({ parent, isRoot = false }: Pick<SpanOptions, "parent" | "isRoot">): Context {
  if (parent instanceof OtelSpan) return trace.setSpan(ROOT_CONTEXT, parent.span);
  if (parent !== undefined) return remote(parent);
  return isRoot ? ROOT_CONTEXT : context.active();
}

/** Of fields that have been checked. */
function remote({ traceparent, tracestate }: TraceFields): Context {
  const [, traceId = "", spanId = "", flags = "00"] = traceparent.split("-");
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & 1,
    isRemote: true,
    ...(tracestate !== undefined && { traceState: createTraceState(tracestate) }),
  });
}

function defined(attributes: SpanAttributes): Record<string, string | number> {
  const kept: Record<string, string | number> = {};
  for (const name in attributes) {
    const value = attributes[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}
