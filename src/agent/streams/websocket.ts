/**
 * Extended CONNECT with `:protocol: websocket` (RFC 8441): performs the handshake with the target, and responds with its
 * result. From then on frames pass as bytes. A target that loses its caller gets a Close frame, also where the tunnel is lost.
 */
import { randomBytes } from "node:crypto";
import http from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { hasEnded, resetStream } from "../../wire/streams/end-stream.ts";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { codeFromErrno } from "../../wire/failure-codes.ts";
import { errorCodeOf } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import {
  endToEndHeaders,
  headerListBytes,
  headerListPairs,
  http2Fields,
  isPlainlyChunked,
} from "../../wire/fields/http-fields.ts";
import { isHost } from "../../wire/fields/host.ts";
import { MAX_HEADER_BLOCK_BYTES, MAX_HEADER_PAIRS } from "../../wire/limits.ts";
import { withoutOwnName } from "../../wire/fields/own-fields.ts";
import { HEADER } from "../../wire/protocol.ts";
import { formatProxyStatus } from "../../wire/fields/proxy-status.ts";
import { acceptKey } from "../../wire/websocket/websocket-frames.ts";
import { CLIENT_DISCONNECTED, ClientFrames, TUNNEL_CLOSED } from "../../wire/websocket/client-frames.ts";
import { spliceFrames } from "../../wire/websocket/splice-frames.ts";
import { MAX_INFORMATIONAL_RESPONSES, SILENT_TARGET_MS, WEBSOCKET_HANDSHAKE_TIMEOUT_MS } from "../limits.ts";
import type { OpenTarget } from "../targets/target-table.ts";
import { errnoField, reachTarget, refuse } from "./reach-target.ts";

export function serveWebSocket(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders & { ":path"?: string | undefined },
  open: OpenTarget,
): void {
  // The target gets both unchanged, in the request line and in a field.
  if (!isHost(hostFor(headers)) || headers[":path"]?.startsWith("/") !== true) {
    open.close("bad_request");
    return refuse(stream, "bad_request");
  }
  reachTarget(stream, open, (socket) => handshake(stream, headers, socket, open));
}

/** A control plane that sends `host` does not know our field: then the field is the caller's, and is ignored. */
function hostFor({ host, [HEADER.targetHost]: targetHost }: IncomingHttpHeaders): string {
  return host ?? String(targetHost ?? "localhost");
}

function handshake(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders & { ":path"?: string | undefined },
  socket: Socket,
  open: OpenTarget,
): void {
  const key = randomBytes(16).toString("base64");
  const {
    [HEADER.targetHost]: _targetHost,
    [HEADER.requestId]: _requestId,
    ...fields
  } = endToEndHeaders(headers);
  const request = http.request({
    maxHeaderSize: MAX_HEADER_BLOCK_BYTES, // as much as can be forwarded; node's default is 16 KiB
    createConnection: () => socket,
    method: "GET",
    path: headers[":path"] ?? "/",
    setHost: false,
    headers: {
      ...fields,
      host: hostFor(headers),
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": headers["sec-websocket-version"] ?? "13",
      "sec-websocket-key": key,
    },
  });
  const { session: http2Session } = stream; // a closed stream has none
  const isLost = (): boolean => http2Session === undefined || hasEnded(http2Session);
  const sentAt = performance.now();
  const report = (code: ErrorCode, errno?: string): void => {
    const waitedMs = Math.round(performance.now() - sentAt);
    open.failed({ code, phase: "response", errno, waitedMs, begun: socket.bytesRead > 0 });
  };
  const onClose = () => {
    clearTimeout(timer);
    const hasWaited = performance.now() - sentAt >= SILENT_TARGET_MS;
    if (hasWaited && !stream.headersSent && !isLost()) report("response_timeout");
    request.destroy();
    socket.destroy();
    open.close("aborted");
  };
  stream.once("close", onClose);
  const fail = (code: ErrorCode, errno?: string) => {
    clearTimeout(timer);
    stream.off("close", onClose);
    open.close(code);
    report(code, errno);
    refuse(stream, code, errnoField(errno));
    request.destroy();
    socket.destroy();
  };
  /** For everything that runs on the target's data. */
  const guard = new Guard(
    (error) => {
      if (stream.headersSent) throw error;
      fail("target_protocol");
    },
    (error) => {
      resetStream(stream, error);
      onClose();
    },
  );
  const timer = setTimeout(
    guard.wrap(() => fail("response_timeout")),
    WEBSOCKET_HANDSHAKE_TIMEOUT_MS,
  );
  let refusal: IncomingMessage | undefined;
  const onError = guard.wrap((error: Error) => {
    // A reset too looks like the end of a body that the connection's end delimits.
    if (refusal?.complete === false) resetStream(stream, error);
    if (stream.headersSent || stream.destroyed) return;
    const errno = errorCodeOf(error);
    if (errno?.startsWith("HPE_") === true) fail("target_protocol");
    else fail(codeFromErrno(errno), errno);
  });
  let informational = 0;
  const onInformation = guard.wrap(() => {
    informational += 1;
    if (informational > MAX_INFORMATIONAL_RESPONSES) fail("target_protocol");
  });
  const onUpgrade = guard.wrap((response: IncomingMessage, upgraded: Duplex, head: Buffer) => {
    clearTimeout(timer);
    // RFC 6455 §4.1: a client fails the connection where either is wrong.
    const isWebSocket = response.headers.upgrade?.trim().toLowerCase() === "websocket";
    if (!isWebSocket || response.headers["sec-websocket-accept"] !== acceptKey(key)) {
      return fail("target_protocol");
    }
    const { "sec-websocket-accept": _accept, ...rest } = endToEndHeaders(response.headers);
    stream.respond({ ...fieldsWithinLimits(rest), ":status": 200 });
    stream.off("close", onClose);
    if (head.length > 0) upgraded.unshift(head); // first frames may share a packet with the 101
    const frames = new ClientFrames(upgraded, response.headers);
    const lossReason = (): string => (isLost() ? TUNNEL_CLOSED : CLIENT_DISCONNECTED);
    spliceFrames(stream, upgraded, { onClose: () => open.close(), lossReason }, frames);
  });
  const onResponse = guard.wrap((response: IncomingMessage) => {
    clearTimeout(timer);
    refusal = response;
    const status = response.statusCode ?? 502;
    const coding = response.headers["transfer-encoding"];
    const hasFaultyFraming = response.httpVersion === "1.0" && coding !== undefined; // RFC 9112 §6.1
    // node:http2 cannot send a status above 599.
    if (status < 200 || status > 599 || hasFaultyFraming || !isPlainlyChunked(coding)) {
      return fail("target_protocol");
    }
    passRefusal(stream, response, status);
    response.once("close", () => {
      stream.off("close", onClose);
      socket.destroy(); // node would keep it for another request, which never comes
      open.close();
    });
  });
  request.on("error", onError);
  request.on("information", onInformation);
  request.on("upgrade", onUpgrade);
  request.on("response", onResponse);
  request.end();
}

/**
 * Removes a target's `Proxy-Status` members in our name: only the agent itself may use it ({@link CAPABILITY.proxyStatus}).
 *
 * @throws Error above the limit of a header block on the tunnel connection: a larger one would close the connection
 */
function fieldsWithinLimits(
  headers: IncomingHttpHeaders,
  own: Readonly<Record<string, string>> = {},
): OutgoingHttpHeaders {
  const foreign: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) foreign[name] = withoutOwnName(name, value);
  }
  for (const [name, value] of Object.entries(own))
    foreign[name] = [foreign[name] ?? [], value].flat().map(String);
  const fields = http2Fields(foreign);
  if (headerListBytes(fields) > MAX_HEADER_BLOCK_BYTES || headerListPairs(fields) >= MAX_HEADER_PAIRS) {
    throw new Error("the header of the target's response is too large");
  }
  return fields;
}

/** Forwards the target's own refusal, body included, to the caller. */
function passRefusal(stream: ServerHttp2Stream, response: IncomingMessage, status: number): void {
  const isSuccess = status < 300;
  const own = isSuccess ? ignoredUpgrade(status) : {};
  const fields = fieldsWithinLimits(endToEndHeaders(response.headers), own);
  stream.respond({ ...fields, ":status": isSuccess ? ERROR_TABLE.target_protocol.status : status });
  stream.resume();
  response.on("error", (error) => resetStream(stream, error));
  response.pipe(stream);
}

/**
 * On Extended CONNECT a 2xx means "the WebSocket is open", but a target that responds 200 has ignored the upgrade, as it may
 * (RFC 9110 §7.8). A control plane that does not know the field sees `target_protocol`.
 */
function ignoredUpgrade(status: number): Record<string, string> {
  return { "proxy-status": formatProxyStatus("target_protocol"), [HEADER.targetStatus]: String(status) };
}
