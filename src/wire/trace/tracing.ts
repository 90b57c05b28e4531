/**
 * What both ends of a tunnel need of a tracing library. Where nobody traces there is none of it, and a request costs no more than
 * without: `src/telemetry` has it for OpenTelemetry.
 */
import type { TraceFields } from "./trace-fields.ts";

/** `server` serves a request, `client` makes one, `internal` is neither. */
export type SpanKind = "server" | "client" | "internal";

/** By OpenTelemetry's names. Undefined ones are left out. */
export type SpanAttributes = Readonly<Record<string, string | number | undefined>>;

/** One part of a trace while it lasts. Its methods never throw. */
export interface TraceSpan extends TraceFields {
  readonly traceId: string;
  /** Only the first call counts. @param errorType why it has failed, of a small set */
  end(attributes: SpanAttributes, errorType: string | undefined): void;
}

export interface SpanOptions {
  kind: SpanKind;
  /** Default: the caller's own span, where the process has one. */
  parent?: TraceFields | undefined;
  /** It begins a trace of its own where it has no parent. */
  isRoot?: boolean;
  attributes: SpanAttributes;
}

export interface Tracing {
  /** Undefined where the library fails. */
  start(name: string, options: SpanOptions): TraceSpan | undefined;
}
