/**
 * Extended CONNECT with `:protocol: websocket` (RFC 8441): the handshake with the target comes first, and its own
 * status is the answer. From then on frames pass as bytes: nothing is read, answered or injected here.
 */
import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { resetStream } from "../wire/end-stream.ts";
import { codeFromErrno } from "../wire/error-table.ts";
import { errorCodeOf } from "../wire/errors.ts";
import { endToEndHeaders } from "../wire/http-fields.ts";
import { relay } from "../wire/relay.ts";
import { WEBSOCKET_HANDSHAKE_TIMEOUT_MS } from "./limits.ts";
import type { OpenTarget } from "./open-targets.ts";
import { reachTarget, refuse } from "./reach-target.ts";

export function serveWebSocket(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders & { ":path"?: string | undefined },
  open: OpenTarget,
): void {
  reachTarget(stream, open, (socket) => handshake(stream, headers, socket, open));
}

function handshake(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders & { ":path"?: string | undefined },
  socket: Socket,
  open: OpenTarget,
): void {
  const key = randomBytes(16).toString("base64");
  const request = http.request({
    createConnection: () => socket,
    method: "GET",
    path: headers[":path"] ?? "/",
    setHost: false,
    headers: {
      host: "localhost",
      ...endToEndHeaders(headers),
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": headers["sec-websocket-version"] ?? "13",
      "sec-websocket-key": key,
    },
  });
  const onClose = () => {
    clearTimeout(timer);
    request.destroy();
    socket.destroy();
    open.close("aborted");
  };
  stream.once("close", onClose);
  const fail = (code: Parameters<typeof refuse>[1]) => {
    clearTimeout(timer);
    stream.off("close", onClose);
    open.close(code);
    refuse(stream, code);
    request.destroy();
    socket.destroy();
  };
  const timer = setTimeout(() => fail("response_timeout"), WEBSOCKET_HANDSHAKE_TIMEOUT_MS);
  request.on("error", (error) => {
    if (stream.headersSent || stream.destroyed) return;
    const errno = errorCodeOf(error);
    fail(errno?.startsWith("HPE_") === true ? "target_protocol" : codeFromErrno(errno));
  });
  request.on("upgrade", (response, upgraded, head) => {
    clearTimeout(timer);
    if (response.headers["sec-websocket-accept"] !== acceptKey(key)) return fail("target_protocol");
    stream.off("close", onClose);
    if (head.length > 0) upgraded.unshift(head); // first frames may share a packet with the 101
    const { "sec-websocket-accept": _accept, ...rest } = endToEndHeaders(response.headers);
    stream.respond({ ...rest, ":status": 200 });
    relay(stream, upgraded, () => open.close());
  });
  request.on("response", (response) => {
    clearTimeout(timer);
    const status = response.statusCode ?? 502;
    // On Extended CONNECT 2xx means "the WebSocket is open": a target that answers 200 has not understood the upgrade.
    if (status < 300) return fail("target_protocol");
    passRefusal(stream, response, status);
    response.once("close", () => {
      stream.off("close", onClose);
      open.close();
    });
  });
  request.end();
}

/** The target's own refusal, body included, goes to the caller. */
function passRefusal(stream: ServerHttp2Stream, response: IncomingMessage, status: number): void {
  stream.respond({ ...endToEndHeaders(response.headers), ":status": status });
  stream.resume();
  response.on("error", (error) => resetStream(stream, error));
  response.pipe(stream);
}

/** RFC 6455 §4.2.2. */
function acceptKey(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
