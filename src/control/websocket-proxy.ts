/**
 * WebSocket to a target: a caller's HTTP/1.1 Upgrade or RFC 8441 stream becomes Extended CONNECT on the reversed
 * session. The target's answer comes first: a caller that is refused never sees a 101. Frames pass as bytes.
 */
import { createHash } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { IncomingMessage } from "node:http";
import type { ClientHttp2Stream, Http2ServerRequest, ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { toError, TurnaboutError } from "../wire/errors.ts";
import { endToEndHeaders } from "../wire/http-fields.ts";
import { relay } from "../wire/relay.ts";
import { FirstMessageReader } from "../wire/websocket-frames.ts";
import { refuseRaw } from "./doors/upgrade.ts";
import { errorAnswer } from "./http-errors.ts";
import { expected } from "./http-proxy.ts";
import type { HttpProxyContext, ProxyJob } from "./http-proxy.ts";
import { MAX_FIRST_MESSAGE_BYTES, withCredentials } from "./moonlight.ts";
import type { CloseReason } from "./open-work.ts";
import { openWebSocket } from "./websocket-open.ts";
import { relayWebSocket } from "./websocket-relay.ts";

export async function proxyWebSocketUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  job: ProxyJob,
  context: HttpProxyContext,
): Promise<void> {
  const gone = new AbortController();
  const onGone = () => gone.abort();
  socket.on("error", onGone); // for ever
  socket.once("close", onGone);
  try {
    const key = request.headers["sec-websocket-key"];
    if (request.method !== "GET" || key === undefined || !/^[A-Za-z0-9+/]{22}==$/.test(key)) {
      throw new TurnaboutError("bad_request", "WebSocket handshake without a valid key");
    }
    const { stream, status, headers } = await openWebSocket(request, job, context, gone.signal);
    const fields = endToEndHeaders(headers);
    if (status !== 200) return passRefusal(socket, stream, status, fields);
    const lines = [
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Accept: ${acceptKey(key)}`,
      ...fieldLines(fields),
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    if (head.length > 0) socket.unshift(head);
    carry(socket, stream, job, context);
  } catch (error) {
    logFailure(error, job, context);
    refuseRaw(socket, error instanceof TurnaboutError ? expected(error, job) : error);
  }
}

export async function proxyWebSocketStream(
  request: Http2ServerRequest,
  job: ProxyJob,
  context: HttpProxyContext,
): Promise<void> {
  const caller: ServerHttp2Stream = request.stream;
  const gone = new AbortController();
  caller.on("error", () => gone.abort()); // for ever
  caller.once("close", () => gone.abort());
  try {
    const { stream, status, headers } = await openWebSocket(request, job, context, gone.signal);
    caller.respond({ ...endToEndHeaders(headers), ":status": status });
    if (status === 200) carry(caller, stream, job, context);
    else relay(caller, stream);
  } catch (error) {
    logFailure(error, job, context);
    if (caller.destroyed || caller.headersSent) return;
    const answer = errorAnswer(error instanceof TurnaboutError ? expected(error, job) : error);
    caller.respond({ ...answer.headers, ":status": answer.status });
    caller.end(answer.body);
  }
}

/** From here on it is an open WebSocket: it counts, and it ends with its credential and with its session. */
function carry(caller: Duplex, stream: ClientHttp2Stream, job: ProxyJob, context: HttpProxyContext): void {
  const { identity, session, credentials } = job;
  let close = (_reason: CloseReason): void => void caller.destroy();
  const done = context.work.add({ identity, session, close: (reason) => close(reason) });
  caller.once("close", done);
  const go = () => {
    close = relayWebSocket(caller, stream, done);
  };
  if (credentials === undefined) go();
  else injectCredentials(caller, stream, credentials, go);
}

/** Holds the caller's first message back, writes our credentials into it, and lets everything else pass. */
function injectCredentials(
  caller: Duplex,
  stream: ClientHttp2Stream,
  credentials: string,
  go: () => void,
): void {
  const reader = new FirstMessageReader(MAX_FIRST_MESSAGE_BYTES);
  const stop = () => {
    caller.off("data", onData);
    caller.off("end", onEnd);
    caller.off("close", onEnd);
    stream.off("close", onEnd);
  };
  const onEnd = () => {
    stop();
    stream.destroy(new Error("the caller left before its first message"));
    caller.destroy();
  };
  function onData(chunk: Buffer): void {
    const message = reader.feed(chunk);
    if (message === undefined) return;
    caller.pause();
    stop();
    if (message.kind === "too-large") return onEnd();
    if (message.kind === "other") caller.unshift(message.bytes);
    else {
      if (message.rest.length > 0) caller.unshift(message.rest);
      stream.write(Buffer.concat([message.before, withCredentials(message.text, credentials)]));
    }
    go();
  }
  caller.on("data", onData);
  caller.once("end", onEnd);
  caller.once("close", onEnd);
  stream.once("close", onEnd);
}

/** The target's own refusal: status, fields and body. */
function passRefusal(
  socket: Duplex,
  stream: ClientHttp2Stream,
  status: number,
  fields: Record<string, string | string[]>,
): void {
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Refused"}`,
    "Connection: close",
    ...fieldLines(fields),
  ];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  socket.resume();
  relay(socket, stream);
  stream.end();
}

function fieldLines(fields: Record<string, string | string[]>): string[] {
  return Object.entries(fields).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((item) => `${name}: ${item}`),
  );
}

function logFailure(error: unknown, job: ProxyJob, context: HttpProxyContext): void {
  const { runner, target } = job.destination;
  const code = error instanceof TurnaboutError ? error.code : "internal";
  context.metrics.requests.inc({ outcome: code });
  context.log.info({ runner, target, code, reason: toError(error).message }, "WebSocket failed");
}

/** RFC 6455 §4.2.2. */
function acceptKey(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
