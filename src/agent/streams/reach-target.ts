/** The first step of every stream to a target: connect, then hand over the socket, or refuse with the reason. */
import type { OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { closeAfterResponse, resetStream } from "../../wire/streams/end-stream.ts";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { isKnownErrno } from "../../wire/failure-codes.ts";
import { HEADER, PROXY_NAME } from "../../wire/protocol.ts";
import { formatProxyStatus } from "../../wire/fields/proxy-status.ts";
import { connectTarget } from "../targets/connect-target.ts";
import type { OpenTarget } from "../targets/target-table.ts";

/** The stream is not read until the target has accepted: bytes sent behind the request wait in its window. */
export function reachTarget(
  stream: ServerHttp2Stream,
  open: OpenTarget,
  serve: (socket: Socket) => void,
): void {
  const cancel = connectTarget(open.target.address, open.label, (error, socket) => {
    stream.off("close", onClose);
    open.connected(error);
    if (error !== undefined) {
      open.close(error.code);
      open.failed({ code: error.code, phase: "connect", errno: error.errno });
      return refuse(stream, error.code, errnoField(error.errno));
    }
    if (stream.destroyed || stream.closed) {
      socket.destroy();
      return open.close("aborted");
    }
    try {
      serve(socket);
    } catch (cause) {
      // The target's protocol cannot express the request.
      socket.destroy();
      open.close("bad_request");
      new Guard(
        () => refuse(stream, "bad_request"),
        (error) => resetStream(stream, error),
      ).fail(cause);
    }
  });
  const onClose = () => {
    cancel();
    open.close("aborted");
  };
  stream.once("close", onClose);
}

/** Only a name of a closed set crosses the tunnel. */
export function errnoField(errno: string | undefined): OutgoingHttpHeaders {
  return errno !== undefined && isKnownErrno(errno) ? { [HEADER.errno]: errno } : {};
}

/** A refused dial is an HTTP status with its reason; nothing has reached the target. */
export function refuse(stream: ServerHttp2Stream, code: ErrorCode, fields: OutgoingHttpHeaders = {}): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  const { status, retryAfterS } = ERROR_TABLE[code];
  stream.respond(
    {
      ":status": status,
      "proxy-status": formatProxyStatus(code),
      ...(retryAfterS !== undefined && { "retry-after": String(retryAfterS) }),
      server: PROXY_NAME,
      ...fields,
    },
    { endStream: true },
  );
  stream.resume(); // early data is dropped, and its window returned
  closeAfterResponse(stream);
}
