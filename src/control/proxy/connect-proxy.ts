/** `CONNECT <target>.<runner>` at the control plane, HTTP/1.1 and HTTP/2: the dial API of every language. */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Duplex } from "node:stream";
import { CodedError, TurnaboutError } from "../../wire/errors.ts";
import { parseAuthority } from "../../wire/messages/names.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { HEADER } from "../../wire/protocol.ts";
import { watchRemoteEnd } from "../../wire/streams/remote-end.ts";
import { watchSilence } from "../../wire/streams/silence.ts";
import { abort, splice } from "../../wire/streams/splice.ts";
import type { Tracing } from "../../wire/trace/tracing.ts";
import { VERSION } from "../../wire/version.ts";
import { authenticateProxy } from "../auth/authenticate.ts";
import type { Identity } from "../auth/identity.ts";
import type { Access } from "../auth/access.ts";
import type { TokenStore } from "../auth/tokens.ts";
import { watchCaller } from "../listener/client-disconnect.ts";
import { ABANDONED_AFTER_MS } from "../limits.ts";
import type { Dialer } from "../registry/dialer.ts";
import { EarlyData } from "../tunnels/early-data.ts";
import { refuseAmbiguous } from "../listener/refused-requests.ts";
import type { TrustedProxies } from "../trusted-proxies/trusted-proxies.ts";
import { errorResponseFor, refuseRaw } from "../listener/error-response.ts";
import type { AnyRequest } from "../listener/messages.ts";
import type { ActiveStreams } from "../auth/active-streams.ts";
import { preferredWait } from "../fields/prefer.ts";
import type { CallerShares } from "../shares/fair-shares.ts";
import { credentialHolder } from "../shares/holders.ts";
import type { RefusalLog } from "../shares/refusal-log.ts";
import type { AccessLog } from "../records/access-log.ts";
import { RequestRecord } from "../records/request-record.ts";
import type { Attempt } from "../records/request-record.ts";
import { traceRequest } from "../records/request-trace.ts";
import { REQUEST_ID_FIELD, requestIdOf } from "../trusted-proxies/request-id.ts";
import { RevocableCaller } from "./revocable-caller.ts";
import { hintFor, SILENT_HINT } from "./target-errors.ts";

export interface ConnectProxyContext {
  accessLog: Pick<AccessLog, "end">;
  tracing: Tracing | undefined;
  dialer: Dialer;
  shares: CallerShares;
  refusalLog: RefusalLog;
  tokens: TokenStore;
  access: Access;
  activeStreams: ActiveStreams;
  trustedProxies: TrustedProxies;
}

const ESTABLISHED = `HTTP/1.1 200 Connection Established\r\n${HEADER.version}: ${VERSION}\r\n${REQUEST_ID_FIELD}: `;

export interface AuthorizedDestination extends Destination {
  identity: Identity;
}

/**
 * @param known called as soon as the caller is, and where it wants to go: for the record of a refusal
 * @throws TurnaboutError `unauthenticated`, `bad_request`, `not_allowed`
 */
export function authorizeProxy(
  request: AnyRequest,
  authority: string,
  { tokens, access }: Pick<ConnectProxyContext, "tokens" | "access">,
  known: (attempt: Attempt) => void,
): AuthorizedDestination {
  const identity = authenticateProxy(request.headers, tokens);
  const destination = parseAuthority(authority);
  known({ requester: identity, destination });
  if (destination === undefined) {
    throw new TurnaboutError("bad_request", "forward proxy: the authority is not <target>.<runner>");
  }
  if (!access.mayDial(identity, destination.runner, destination.target)) {
    throw new TurnaboutError(
      "not_allowed",
      `${identity.id} may not dial ${destination.runner} ${destination.target}`,
    );
  }
  return { ...destination, identity };
}

interface OpenTunnelOptions {
  headers: IncomingHttpHeaders;
  early: EarlyData;
  context: ConnectProxyContext;
  record: RequestRecord;
}

/** @throws TurnaboutError the reason of the refusal */
async function openTunnel(
  caller: RevocableCaller,
  stream: Duplex,
  destination: AuthorizedDestination,
  { headers, early, context, record }: OpenTunnelOptions,
): Promise<Duplex> {
  const { identity, runner } = destination;
  caller.register(context.activeStreams, { identity, group: context.access.groupOf(runner) });
  try {
    const tunnel = await context.dialer.openStream(destination, {
      signal: caller.signal,
      ...preferredWait(headers),
      caller: credentialHolder(identity),
      early,
      record,
    });
    record.bytesIn += early.passedBytes;
    if (caller.closed !== undefined) {
      abort(tunnel);
      throw new TurnaboutError("aborted", "closed while it was being opened");
    }
    caller.onClose(() => {
      abort(stream);
      abort(tunnel);
    });
    return tunnel;
  } catch (error) {
    caller.release();
    throw caller.reasonFor(error);
  } finally {
    early.stop();
  }
}

export async function connectFromSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  context: ConnectProxyContext,
): Promise<void> {
  const { address } = context.trustedProxies.client(request);
  const early = new EarlyData(socket);
  const watch = watchCaller(socket, head, early);
  const record = connectRecord(request, address, request.url);
  const caller = new RevocableCaller(socket, {
    disconnected: watch.signal,
    onEnd: () => endTunnel(record, caller, context),
  });
  let destination: AuthorizedDestination | undefined;
  try {
    refuseAmbiguous(request);
    destination = authorizeProxy(request, request.url ?? "", context, (attempt) => record.attempted(attempt));
    const { headers } = request;
    traceRequest(record, headers, context.tracing);
    const tunnel = await openTunnel(caller, socket, destination, { headers, early, context, record });
    watch.stop();
    if (socket.destroyed) return abort(tunnel);
    socket.write(`${ESTABLISHED}${record.id}\r\n\r\n`);
    record.status = 200;
    caller.complete();
    watchTarget(socket, tunnel, { client: address, destination, record, caller }, context.refusalLog);
    splice(socket, tunnel, () => caller.release());
    caller.watchTunnel(context.shares, destination.identity, { end: socket, tunnel, record });
  } catch (error) {
    watch.stop();
    logRefusal(error, { client: address, destination, record }, context.refusalLog);
    const refusal = refusalFor(request, error, address, context);
    noteRefusal(record, refusal);
    refuseRaw(socket, refusal, "proxy", record.id);
  }
}

export async function connectFromStream(
  request: Http2ServerRequest,
  context: ConnectProxyContext,
): Promise<void> {
  const { address } = context.trustedProxies.client(request);
  const { stream } = request;
  watchRemoteEnd(stream);
  const record = connectRecord(request, address, request.authority);
  const caller = new RevocableCaller(stream, { onEnd: () => endTunnel(record, caller, context) });
  let destination: AuthorizedDestination | undefined;
  try {
    refuseAmbiguous(request);
    destination = authorizeProxy(request, request.authority, context, (attempt) => record.attempted(attempt));
    const { headers } = request;
    traceRequest(record, headers, context.tracing);
    const early = new EarlyData(stream);
    const pull = (): void => early.pull();
    stream.on("readable", pull);
    const tunnel = await openTunnel(caller, stream, destination, { headers, early, context, record });
    stream.off("readable", pull);
    if (stream.destroyed) return abort(tunnel);
    stream.respond({ ":status": 200, [HEADER.version]: VERSION, [REQUEST_ID_FIELD]: record.id });
    record.status = 200;
    caller.complete();
    watchTarget(stream, tunnel, { client: address, destination, record, caller }, context.refusalLog);
    splice(stream, tunnel, () => caller.release());
    caller.watchTunnel(context.shares, destination.identity, { end: stream, tunnel, record });
  } catch (error) {
    logRefusal(error, { client: address, destination, record }, context.refusalLog);
    const known = refusalFor(request, error, address, context);
    noteRefusal(record, known);
    if (stream.destroyed || stream.headersSent) return;
    const refusal = errorResponseFor(known, "proxy", record.id);
    stream.respond({ ...refusal.headers, ":status": refusal.status });
    stream.end(refusal.body);
  }
}

/** A caller that has waited for the target's first byte and has left: the agent logs it too, under the same id. */
function watchTarget(
  end: Duplex,
  tunnel: Duplex,
  { caller, ...refused }: RefusedConnect & { caller: RevocableCaller },
  log: RefusalLog,
): void {
  watchSilence(end, tunnel, {
    minMs: ABANDONED_AFTER_MS,
    silent(waitedMs) {
      if (caller.closed !== undefined) return;
      const { runner, target } = refused.record;
      const reason = `${runner} ${target}: the caller has left after ${waitedMs} ms without a byte from the target`;
      const fields = {
        ...fieldsOf(refused, { code: "aborted" }),
        phase: "response",
        waitedMs,
        hint: SILENT_HINT,
      };
      log.info({ ...fields, reason }, "the caller has left before the target's response");
    },
  });
}

function connectRecord(request: AnyRequest, client: string, authority: string | undefined): RequestRecord {
  const record = new RequestRecord(requestIdOf(request), "connect");
  record.method = "CONNECT";
  record.path = authority;
  record.client = client;
  return record;
}

function noteRefusal(record: RequestRecord, error: unknown): void {
  record.failed(error);
  record.status = errorResponseFor(error, "proxy").status;
}

function endTunnel(
  record: RequestRecord,
  caller: RevocableCaller,
  { accessLog }: Pick<ConnectProxyContext, "accessLog">,
): void {
  record.code = caller.codeOf(record.code);
  accessLog.end(record);
}

/** An address with too many requests without a valid credential gets another error. */
function refusalFor(
  { headers }: AnyRequest,
  error: unknown,
  address: string,
  { shares }: ConnectProxyContext,
): unknown {
  return shares.anonymous.refusal(error, address, headers["proxy-authorization"] !== undefined);
}

interface RefusedConnect {
  client: string;
  /** Undefined where the caller may not have it. */
  destination: AuthorizedDestination | undefined;
  record: RequestRecord;
}

function logRefusal(error: unknown, refused: RefusedConnect, log: RefusalLog): void {
  const reason = error instanceof Error ? error.message : String(error);
  const { code, errno, phase = refused.record.phase } = error instanceof CodedError ? error : {};
  const fields = fieldsOf(refused, { code, errno });
  const known = refused.destination !== undefined && { phase, hint: hintFor(code, errno, phase) };
  log.info({ ...fields, ...known, reason }, "CONNECT refused");
}

function fieldsOf(
  { client, destination, record }: RefusedConnect,
  cause: { code?: string | undefined; errno?: string | undefined },
): { client: string; [field: string]: unknown } {
  const { runner, target, identity } = destination ?? {};
  const ids = { requestId: record.id, traceId: record.spans?.traceId };
  return { runner, target, credential: identity?.id, client, ...cause, ...ids };
}
