/** What a caller's request asks for, once it is routed and authorised; what serving it needs; and what is noted of it. */
import type { Destination } from "../../wire/messages/names.ts";
import type { Logger } from "../../wire/log.ts";
import type { Tracing } from "../../wire/trace/tracing.ts";
import type { Pump } from "../../wire/streams/splice.ts";
import type { ActiveStreams } from "../auth/active-streams.ts";
import type { Identity } from "../auth/identity.ts";
import type { ProxyMode } from "../fields/header-fields.ts";
import type { Mount } from "../fields/mount.ts";
import type { ControlMetrics } from "../metrics.ts";
import type { AccessLog } from "../records/access-log.ts";
import { attachRecord, RequestRecord } from "../records/request-record.ts";
import type { Way } from "../records/request-record.ts";
import { traceRequest } from "../records/request-trace.ts";
import type { Dialer } from "../registry/dialer.ts";
import type { CallerShares } from "../shares/fair-shares.ts";
import type { RefusalLog } from "../shares/refusal-log.ts";
import { requestIdOf } from "../trusted-proxies/request-id.ts";
import type { Client } from "../trusted-proxies/trusted-proxies.ts";
import type { AnyRequest, AnyResponse } from "../listener/messages.ts";

/** How the bytes of a WebSocket's caller get to the target; it may refuse them, which closes the WebSocket. */
export type CallerPump = (refuse: (close: { code: number; reason: string }) => void) => Pump;

/** What becomes of a target's final response before the caller gets it. */
export interface ResponseAmendment {
  /** May add, replace and remove fields of those that the caller gets. */
  fields?(fields: Record<string, string | string[]>, status: number): void;
  /** The whole content of a 200 is replaced by what this makes of it. */
  content?: ContentRewrite | undefined;
}

export interface ContentRewrite {
  /** Larger content is refused. */
  maxBytes: number;
  /** @param path of the route's mount, as the caller knows it. @throws TurnaboutError */
  rewrite(content: string, path: string): string;
}

/** The resource has another path (308): the route has no target. */
export interface Redirect {
  /** A reference relative to the request's URL. */
  redirect: string;
}

/** Where a route leads. */
export interface RoutedJob {
  destination: Destination;
  /** Path and query as the caller wrote them, not normalised. */
  path: string;
  mode: ProxyMode;
  /** `Host` for a target that is declared without one. */
  host: string;
  /** The caller: what it has opened is closed when its credential is revoked. */
  identity: Identity;
  /** The group of runners to which it belongs, if any: it is closed with the group. */
  group?: string | undefined;
  /** The target's own shared secret, added here and unknown to the caller. */
  credentials?: string | undefined;
  /** How paths of the route map to the target's. Without it the target's addresses are not rewritten. */
  mount?: Mount | undefined;
  /** The target may set cookies, limited to its route. */
  hasCookies?: boolean | undefined;
  /** Fields of the request that do not reach the target, besides those that hold a token of ours. */
  withheld?: ReadonlySet<string> | undefined;
  /** Default: the response is not changed beyond what holds for every target. */
  amend?: ResponseAmendment | undefined;
  /** Which of the caller's fields the target gets. Default: all that have no meaning for us. */
  passes?: ((name: string) => boolean) | undefined;
  /** Fields that we add, in lower case. Under these names the caller's own never pass. */
  added?: Readonly<Record<string, string>> | undefined;
  /** How the bytes of a WebSocket's caller get to the target. Default: unchanged. */
  fromCaller?: CallerPump | undefined;
  /** Called for a WebSocket with a valid handshake, before anything is opened. @throws TurnaboutError */
  admit?: (() => void) | undefined;
}

export interface ProxyJob extends RoutedJob {
  /** Address and scheme of the caller. */
  client: Client;
  /** A browser has sent the request by itself, and may show the response as a page: it must not get our origin. */
  isolated?: boolean | undefined;
}

export interface ProxyContext {
  accessLog: Pick<AccessLog, "end">;
  tracing: Tracing | undefined;
  dialer: Dialer;
  metrics: ControlMetrics;
  activeStreams: ActiveStreams;
  shares: CallerShares;
  log: Logger;
  /** For lines about failed requests. */
  refusalLog: RefusalLog;
  /** Default `RESPONSE_TIMEOUT_MS`. */
  responseTimeoutMs?: number | undefined;
}

/** What is known of a request when it is routed. */
export function startRecord(
  request: AnyRequest,
  { client, destination, identity, mode, path }: ProxyJob,
  tracing: Tracing | undefined,
  way: Way = mode === "proxy" ? "forward-proxy" : "route",
): RequestRecord {
  const record = new RequestRecord(requestIdOf(request), way);
  record.method = request.method;
  record.path = request.url;
  record.requester = identity;
  record.client = client.address;
  record.runner = destination.runner;
  record.target = destination.target;
  traceRequest(record, request.headers, tracing, {
    path: mode === "proxy" ? path : request.url,
    scheme: client.scheme,
  });
  attachRecord(request, record);
  return record;
}

/** The caller has got all of the response that it will get. @param passed content of the target */
export function endRecord(
  record: RequestRecord,
  response: AnyResponse,
  { writtenBytes }: { writtenBytes: number },
  accessLog: Pick<AccessLog, "end">,
): void {
  // On HTTP/2 the header may have been sent on the stream itself.
  const sent = "stream" in response ? response.stream.sentHeaders : undefined;
  if (response.headersSent) record.status = Number(sent?.[":status"] ?? response.statusCode);
  record.bytesOut = writtenBytes;
  accessLog.end(record);
}
