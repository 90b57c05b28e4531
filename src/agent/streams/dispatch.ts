/** Dispatches the streams of a tunnel connection to their handlers. */
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { discardStream, resetStream } from "../../wire/streams/end-stream.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { parseAuthority } from "../../wire/messages/names.ts";
import { isRequestId } from "../../wire/messages/request-id.ts";
import { AGENT_AUTHORITY, HEADER } from "../../wire/protocol.ts";
import type { Tracing } from "../../wire/trace/tracing.ts";
import { watchRemoteEnd } from "../../wire/streams/remote-end.ts";
import type { TargetTable } from "../targets/target-table.ts";
import { serveControlRoute } from "./control-routes.ts";
import type { ControlRoutesContext } from "./control-routes.ts";
import { refuse } from "./reach-target.ts";
import { serveConnect } from "./connect.ts";
import { startConnectSpan, tracedTarget } from "./traced-target.ts";
import { serveWebSocket } from "./websocket.ts";

export interface ServeContext extends ControlRoutesContext {
  targets: TargetTable;
  tracing?: Tracing | undefined;
}

export function serveStreams(http2Session: ServerHttp2Session, context: ServeContext): void {
  http2Session.on("stream", (stream, headers) => {
    watchRemoteEnd(stream);
    stream.on("error", () => {}); // permanently: 'error' can come after 'end'
    // Its reset, or the end of the connection, came in the same packet: there is no one to respond to.
    if (stream.destroyed || stream.closed) return discardStream(stream);
    const guard = new Guard(
      (error) => {
        context.log.error({ err: error }, "stream handler failed");
        if (stream.headersSent) throw error;
        refuse(stream, "internal");
      },
      (error) => resetStream(stream, error),
    );
    guard.run(() => serveStream(stream, headers, context));
  });
}

function serveStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  context: ServeContext,
): void | Promise<void> {
  const authority = headers[":authority"] ?? "";
  if (headers[":method"] !== "CONNECT") {
    return isAgent(authority) ? serveControlRoute(stream, headers, context) : refuse(stream, "not_allowed");
  }
  if (context.closing.aborted) return refuse(stream, "agent_draining");
  const protocol = headers[":protocol"];
  if (protocol !== undefined && protocol !== "websocket") return refuse(stream, "not_allowed");
  const destination = parseAuthority(authority);
  if (destination === undefined) return refuse(stream, "bad_request");
  const { [HEADER.requestId]: given } = headers;
  const requestId = isRequestId(given) ? given : undefined;
  const span =
    context.tracing === undefined
      ? undefined
      : startConnectSpan(context.tracing, headers, destination, requestId);
  const admitted = context.targets.open(destination, { requestId, traceId: span?.traceId });
  if (typeof admitted === "string") {
    span?.end({}, admitted);
    return refuse(stream, admitted);
  }
  const open = span === undefined ? admitted : tracedTarget(admitted, span);
  if (protocol === undefined) serveConnect(stream, open);
  else serveWebSocket(stream, headers, open);
}

/** As for every authority (docs/protocol.md), case and port are ignored. */
function isAgent(authority: string): boolean {
  return authority.toLowerCase().replace(/:\d{1,5}$/, "") === AGENT_AUTHORITY;
}
