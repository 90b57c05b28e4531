/** A caller's request as its target gets it: what a pool of connections to the target needs. */
import type { Readable } from "node:stream";
import type { Identity } from "../auth/identity.ts";
import { isGrpc, requestedTimeoutMs, requestFields, trailerFields } from "../fields/header-fields.ts";
import type { ForwardedRequest, TargetDeclaration } from "../fields/header-fields.ts";
import type { TargetDispatchOptions } from "../http2-target/target.ts";
import { RESPONSE_TIMEOUT_MS } from "../limits.ts";
import type { AnyRequest } from "../listener/messages.ts";
import type { RequestRecord } from "../records/request-record.ts";
import { setTraceFields } from "../records/request-trace.ts";
import { credentialHolder } from "../shares/holders.ts";

export interface DispatchedRequest {
  cause: RequestRecord;
  body: Readable | Buffer | null;
  declaration: TargetDeclaration;
  isHttp2: boolean;
  /** The connection to the target is closed behind the response. */
  isSingleUse: boolean;
}

export function dispatchOptions(
  request: AnyRequest,
  job: ForwardedRequest & { identity: Identity },
  { responseTimeoutMs = RESPONSE_TIMEOUT_MS }: { responseTimeoutMs?: number | undefined },
  { cause, body, declaration, isHttp2, isSingleUse }: DispatchedRequest,
): TargetDispatchOptions {
  const headers = requestFields(request, job, declaration);
  if (cause.spans !== undefined) setTraceFields(headers, cause.spans, job);
  if (Buffer.isBuffer(body)) headers.push("content-length", String(body.length));
  // gRPC has deadlines of its own, and a stream without messages has no response header either.
  const hasDeadline = isHttp2 && isGrpc(request.headers);
  return {
    path: job.path,
    method: request.method ?? "GET",
    headers,
    body,
    headersTimeout: requestedTimeoutMs(request.headers, hasDeadline ? Infinity : responseTimeoutMs),
    trailers: () => trailerFields(request, job),
    caller: credentialHolder(job.identity),
    cause,
    reset: isSingleUse,
  };
}
