/**
 * A stream that another node of the cluster has opened here, for a target of an agent that is connected here. That node has
 * authenticated and authorised its caller; this one dials the agent, and closes the stream when it learns that the credential is
 * revoked or the group of runners closed.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import { CodedError } from "../../wire/errors.ts";
import { isErrorCode } from "../../wire/error-table.ts";
import { isKnownErrno } from "../../wire/failure-codes.ts";
import { formatProxyStatus } from "../../wire/fields/proxy-status.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { HEADER, PROXY_NAME } from "../../wire/protocol.ts";
import { closeAfterResponse } from "../../wire/streams/end-stream.ts";
import { traceFields } from "../../wire/trace/trace-fields.ts";
import type { Access } from "../auth/access.ts";
import type { ActiveStreams } from "../auth/active-streams.ts";
import { createIdentity } from "../auth/identity.ts";
import type { Identity, IdentityKind } from "../auth/identity.ts";
import type { InFlight } from "../in-flight/in-flight.ts";
import { RevocableCaller } from "../proxy/revocable-caller.ts";
import { RequestRecord } from "../records/request-record.ts";
import type { Dialer } from "../registry/dialer.ts";
import { credentialHolder, SELF } from "../shares/holders.ts";

/** Who has made a request, as the node that has authenticated it says. */
export interface RelayedRequester {
  id: string;
  kind: IdentityKind;
  owner: string | undefined;
  fingerprint: string;
}

export interface RelayedStream {
  stream: ServerHttp2Stream;
  headers: IncomingHttpHeaders;
  destination: Destination;
  /** Id of the node that has opened it. */
  node: string;
  /** Under which both nodes and the agent log it. */
  requestId: string;
  client: string | undefined;
  /** Undefined for a stream of that node itself, which may serve requests of several callers. */
  requester: RelayedRequester | undefined;
}

export interface RelayContext {
  access: Pick<Access, "groupOf">;
  activeStreams: ActiveStreams;
  dialer: Dialer;
  inFlight: InFlight;
  draining: () => boolean;
}

/** What both kinds of streams begin with. */
export interface RelayedCaller {
  caller: RevocableCaller;
  record: RequestRecord;
  /** Whose share of the target's streams it takes. */
  holder: string;
}

/** @throws TurnaboutError `share_exceeded` */
export function startRelayed(
  { stream, headers, destination, node, requestId, client, requester }: RelayedStream,
  { access, activeStreams, inFlight }: RelayContext,
): RelayedCaller {
  const record = new RequestRecord(requestId, "connect");
  record.client = client;
  record.requester = requester;
  record.runner = destination.runner;
  record.target = destination.target;
  record.callerTrace = traceFields(headers);
  const caller = new RevocableCaller(stream);
  const isShared = requester === undefined;
  // Its idle streams end when that node has no use for them.
  if (!isShared) inFlight.add(stream);
  const identity = identityOf(node, requester);
  caller.register(activeStreams, { identity, group: access.groupOf(destination.runner), isShared });
  return { caller, record, holder: requester === undefined ? SELF : credentialHolder(requester) };
}

/** It allows nothing here: the other node has decided. */
function identityOf(node: string, requester: RelayedRequester | undefined): Identity {
  const { id = `node ${node}`, fingerprint = "", kind = "runner", owner } = requester ?? {};
  return { ...createIdentity(id, fingerprint, { kind: "runner", runners: [] }), kind, owner, node };
}

/** As an agent refuses: a status, and our code. Nothing has reached the target. */
export function refuseRelayed(stream: ServerHttp2Stream, error: unknown): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  const known = error instanceof CodedError && isErrorCode(error.code) ? error.code : "internal";
  // An agent's 401 is about another credential than the caller's.
  const code = known === "unauthenticated" ? "tunnel_protocol" : known;
  const { status, retryAfterS } = ERROR_TABLE[code];
  const errno = error instanceof CodedError ? error.errno : undefined;
  stream.respond(
    {
      ":status": status,
      "proxy-status": formatProxyStatus(code),
      ...(retryAfterS !== undefined && { "retry-after": String(retryAfterS) }),
      ...(errno !== undefined && isKnownErrno(errno) && { [HEADER.errno]: errno }),
      server: PROXY_NAME,
    },
    { endStream: true },
  );
  stream.resume(); // early data is dropped, and its window returned
  closeAfterResponse(stream);
}
