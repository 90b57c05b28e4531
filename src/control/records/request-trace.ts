/**
 * The spans of one request: one for as long as its caller is served, and in it one for each attempt at its target, which is the parent
 * of the agent's and of the target's own. There are none where no tracing is set up.
 */
import type { IncomingHttpHeaders } from "node:http";
import { TRACEPARENT, traceFields, TRACESTATE } from "../../wire/trace/trace-fields.ts";
import type { TraceFields } from "../../wire/trace/trace-fields.ts";
import type { SpanAttributes, TraceSpan, Tracing } from "../../wire/trace/tracing.ts";
import { redactedPath } from "./access-line.ts";
import type { RequestRecord, RequestSpans, Way } from "./request-record.ts";

/** Of names that are not known the span has another one: a caller could make them up without end. */
const METHODS: ReadonlySet<string> = new Set([
  "CONNECT",
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "TRACE",
]);

/** Where a request was tried again: nothing of the attempt has reached the target. */
const RETRIED = "retried";

/** A request with a valid credential. @param url its path with query, and its scheme; none of a `CONNECT` */
export function traceRequest(
  record: RequestRecord,
  headers: IncomingHttpHeaders,
  tracing: Tracing | undefined,
  url?: { path: string | undefined; scheme: string },
): void {
  const parent = traceFields(headers);
  if (tracing === undefined) {
    record.callerTrace = parent;
    return;
  }
  const [path, query] = splitPath(url?.path);
  const attributes = {
    ...attributesOf(record),
    "url.path": path,
    "url.query": query,
    "url.scheme": url?.scheme,
    "client.address": record.client,
    "turnabout.credential": record.requester?.id,
    "turnabout.way": record.way,
  };
  const span = tracing.start(nameOf(record), { kind: "server", parent, isRoot: true, attributes });
  record.spans = span === undefined ? undefined : new RequestTrace(tracing, span, record);
}

/** A dial of this process: part of the trace in which it is made. */
export function traceDial(record: RequestRecord, tracing: Tracing | undefined): void {
  if (tracing === undefined) return;
  const span = tracing.start("dial", { kind: "internal", attributes: attributesOf(record) });
  record.spans = span === undefined ? undefined : new RequestTrace(tracing, span, record);
}

class RequestTrace implements RequestSpans {
  readonly #tracing: Tracing;
  readonly #span: TraceSpan;
  readonly #name: string;
  readonly #attributes: SpanAttributes;
  #attempt: TraceSpan | undefined;

  constructor(tracing: Tracing, span: TraceSpan, record: RequestRecord) {
    this.#tracing = tracing;
    this.#span = span;
    this.#name = nameOf(record);
    this.#attributes = attributesOf(record);
  }

  get traceId(): string {
    return this.#span.traceId;
  }

  get current(): TraceFields {
    return this.#attempt ?? this.#span;
  }

  placed(connection: string): void {
    this.#attempt?.end({}, RETRIED);
    this.#attempt = this.#tracing.start(this.#name, {
      kind: "client",
      parent: this.#span,
      attributes: { ...this.#attributes, "turnabout.connection": connection },
    });
  }

  /** Of what is no HTTP the attempt is the dial. */
  accepted(way: Way): void {
    if (way === "connect" || way === "dial") this.#attempt?.end({}, undefined);
  }

  end({ code, status, bytesIn, bytesOut }: RequestRecord): void {
    const failure = code === "ok" ? undefined : code;
    const attributes = { "http.response.status_code": status };
    // To whom makes a request 4xx is an error, and to whom serves one it is not.
    const isRefused = status !== undefined && status >= 400;
    const isFault = status === undefined || status >= 500;
    if (failure === undefined) this.#attempt?.end(attributes, isRefused ? String(status) : undefined);
    else this.#attempt?.end({}, failure); // the status is ours then
    this.#span.end(
      {
        ...attributes,
        "http.request.body.size": bytesIn,
        "http.response.body.size": bytesOut,
        "turnabout.code": code,
      },
      isFault ? (failure ?? (status === undefined ? undefined : String(status))) : undefined,
    );
  }
}

/**
 * In the fields for the target, in place of the caller's: its span is a part of ours.
 *
 * @param fields names and values in turn
 */
export function setTraceFields(
  fields: string[],
  { current }: Pick<RequestSpans, "current">,
  { passes }: { passes?: ((name: string) => boolean) | undefined },
): void {
  for (let i = fields.length - 2; i >= 0; i -= 2) {
    const name = fields[i];
    if (name === TRACEPARENT || name === TRACESTATE) fields.splice(i, 2);
  }
  if (passes?.(TRACEPARENT) === false) return;
  fields.push(TRACEPARENT, current.traceparent);
  if (current.tracestate !== undefined) fields.push(TRACESTATE, current.tracestate);
}

function attributesOf({ id, method, way, runner, target }: RequestRecord): SpanAttributes {
  const known = method !== undefined && METHODS.has(method);
  return {
    "http.request.method": way === "dial" ? undefined : known ? method : "_OTHER",
    "turnabout.request_id": id,
    "turnabout.runner": runner,
    "turnabout.target": target,
  };
}

function nameOf({ method = "", way }: RequestRecord): string {
  if (way === "dial") return "dial";
  return METHODS.has(method) ? method : "HTTP";
}

/** The values of a query may be secrets. */
function splitPath(path: string | undefined): [path: string | undefined, query: string | undefined] {
  if (path === undefined) return [undefined, undefined];
  const redacted = redactedPath(path);
  const at = redacted.indexOf("?");
  return at < 0 ? [redacted, undefined] : [redacted.slice(0, at), redacted.slice(at + 1)];
}
