/** W3C Trace Context: the fields by which a request says to which trace it belongs. */
import type { IncomingHttpHeaders } from "node:http";

export const TRACEPARENT = "traceparent";
export const TRACESTATE = "tracestate";

/** Which span a request, or a stream, belongs to. */
export interface TraceFields {
  readonly traceparent: string;
  readonly tracestate: string | undefined;
}

/** Version, trace id, span id and flags; a later version may have more behind them. */
const VALID =
  /^(?:00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]*)?)$/;

/** A recipient has to pass on 512 characters; what is longer is left out as a whole. */
const MAX_TRACESTATE = 512;
const MAX_TRACEPARENT = 128;
const PRINTABLE = /^[\t -~]+$/;

/** Undefined where there are none, or they are not valid: then what is with them does not count either. */
export function traceFields(headers: IncomingHttpHeaders): TraceFields | undefined {
  const traceparent = headers[TRACEPARENT];
  if (traceparent === undefined) return undefined;
  if (typeof traceparent !== "string" || traceparent.length > MAX_TRACEPARENT || !VALID.test(traceparent)) {
    return undefined;
  }
  const state = headers[TRACESTATE];
  const isKept = typeof state === "string" && state.length <= MAX_TRACESTATE && PRINTABLE.test(state);
  return { traceparent, tracestate: isKept ? state : undefined };
}
