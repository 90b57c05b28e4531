/** Extended `CONNECT` of another node: a WebSocket to a target of an agent here. Its frames pass as bytes. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import type { ServerHttp2Stream } from "node:http2";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { endToEndHeaders, http2Fields } from "../../wire/fields/http-fields.ts";
import { withoutOwnName } from "../../wire/fields/own-fields.ts";
import { formatProxyStatus } from "../../wire/fields/proxy-status.ts";
import { HEADER } from "../../wire/protocol.ts";
import { abort, spliceOneWay } from "../../wire/streams/splice.ts";
import { ClientFrames } from "../../wire/websocket/client-frames.ts";
import { RESPONSE_TIMEOUT_MS } from "../limits.ts";
import type { WebSocketResponse } from "../tunnels/tunnel.ts";
import { spliceWebSocket } from "../websocket/websocket-splice.ts";
import { refuseRelayed, startRelayed } from "./relayed-stream.ts";
import type { RelayContext, RelayedCaller, RelayedStream } from "./relayed-stream.ts";

/** Never rejects: a failure is the stream's refusal. */
export async function relayWebSocket(relayed: RelayedStream, context: RelayContext): Promise<void> {
  const { stream } = relayed;
  let started: RelayedCaller | undefined;
  let opened: WebSocketResponse | undefined;
  try {
    started = startRelayed(relayed, context);
    const { caller } = started;
    opened = await open(relayed, started, context);
    if (caller.closed !== undefined || stream.destroyed)
      throw new TurnaboutError("aborted", "closed meanwhile");
    stream.respond(responseFields(opened));
    caller.complete();
    if (opened.isOpen) {
      const frames = new ClientFrames(opened.stream, opened.headers);
      const onClose = (): void => caller.release();
      caller.onClose(spliceWebSocket(stream, opened.stream, frames, { onClose }));
    } else passRefusal(stream, opened.stream, () => caller.release());
  } catch (error) {
    started?.caller.release();
    if (opened?.isOpen === true) new ClientFrames(opened.stream, opened.headers).leaveNow();
    else if (opened !== undefined) abort(opened.stream);
    refuseRelayed(stream, started?.caller.reasonFor(error) ?? error);
  }
}

function open(
  { headers, destination }: RelayedStream,
  { caller, record, holder }: RelayedCaller,
  { dialer }: RelayContext,
): Promise<WebSocketResponse> {
  const { signal } = caller;
  const path = headers[":path"] ?? "/";
  const request = { path, fields: targetFields(headers), timeoutMs: RESPONSE_TIMEOUT_MS };
  const options = { signal, caller: holder, localOnly: true, record };
  return dialer.open(destination, options, (connection, release) =>
    connection.open(destination, release, (tunnel, onClose) =>
      tunnel.openWebSocket(destination, request, { onClose, signal, cause: record }),
    ),
  );
}

/** What the other node sends for the target, without what is between the nodes. */
function targetFields(headers: IncomingHttpHeaders): string[] {
  const { [HEADER.targetHost]: host, [HEADER.requestId]: _id, [HEADER.peer]: _signed, ...rest } = headers;
  const fields = ["host", String(host ?? "localhost")];
  for (const [name, value] of Object.entries(endToEndHeaders(rest))) {
    for (const item of [value].flat()) fields.push(name, item);
  }
  return fields;
}

/** The target's, as an agent passes them on: our member of `Proxy-Status` means that the target was not reached. */
function responseFields({ isOpen, status, headers }: WebSocketResponse): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(endToEndHeaders(headers))) {
    const kept = withoutOwnName(name, value);
    if (kept !== undefined) fields[name] = kept;
  }
  if (isOpen) return { ...http2Fields(fields), ":status": 200 };
  if (status >= 300) return { ...http2Fields(fields), ":status": status };
  // As the stream's own status a 2xx would mean that the WebSocket is open (RFC 8441 §4).
  const foreign = [fields["proxy-status"] ?? []].flat().map(String);
  return {
    ...http2Fields({ ...fields, "proxy-status": [...foreign, formatProxyStatus("target_protocol")] }),
    [HEADER.targetStatus]: String(status),
    ":status": ERROR_TABLE.target_protocol.status,
  };
}

/** The body of the target's own refusal. What the caller sends is dropped. */
function passRefusal(stream: ServerHttp2Stream, target: Duplex, onClose: () => void): void {
  stream.resume();
  stream.once("close", () => abort(target));
  spliceOneWay(target, stream, onClose);
  target.end();
}
