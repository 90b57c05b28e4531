/**
 * WebSocket to a target: a caller's HTTP/1.1 Upgrade or RFC 8441 stream becomes a stream to the target, on the tunnel
 * connection an Extended CONNECT. The target responds first: a caller that is refused never gets a 101. Frames pass as bytes.
 */
import { STATUS_CODES } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Http2ServerRequest, ServerHttp2Stream } from "node:http2";
import type { Duplex, Writable } from "node:stream";
import { closeAfterResponse, resetStream } from "../../wire/streams/end-stream.ts";
import { CodedError, toError, TurnaboutError } from "../../wire/errors.ts";
import { http2Fields } from "../../wire/fields/http-fields.ts";
import { watchRemoteEnd } from "../../wire/streams/remote-end.ts";
import { abort, spliceOneWay } from "../../wire/streams/splice.ts";
import { acceptKey } from "../../wire/websocket/websocket-frames.ts";
import { ClientFrames } from "../../wire/websocket/client-frames.ts";
import { watchCaller } from "../listener/client-disconnect.ts";
import { handshakeResponseFields } from "../fields/header-fields.ts";
import { closeLater, errorResponseFor, refuseRaw } from "../listener/error-response.ts";
import { startRecord } from "../proxy/job.ts";
import type { ProxyContext, ProxyJob } from "../proxy/job.ts";
import { closedError, followTunnel, RevocableCaller } from "../proxy/revocable-caller.ts";
import { failureFields, offlineIfExpected, unrepresentable } from "../proxy/target-errors.ts";
import type { AnyRequest } from "../listener/messages.ts";
import { hasNoContent, withoutForbiddenLength } from "../listener/response-writer.ts";
import type { RequestRecord } from "../records/request-record.ts";
import { REQUEST_ID_FIELD } from "../trusted-proxies/request-id.ts";
import { openWebSocket } from "./websocket-handshake.ts";
import type { HandshakeResponse } from "./websocket-handshake.ts";
import { spliceWebSocket } from "./websocket-splice.ts";

export async function proxyWebSocketUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  job: ProxyJob,
  context: ProxyContext,
): Promise<void> {
  const watch = watchCaller(socket, head);
  const record = startRecord(request, job, context.tracing, "websocket");
  const webSocket = new CallerWebSocket(socket, { job, context, record, disconnected: watch.signal });
  try {
    const key = request.headers["sec-websocket-key"];
    if (request.method !== "GET" || key === undefined || !/^[A-Za-z0-9+/]{22}==$/.test(key)) {
      throw new TurnaboutError("bad_request", "WebSocket handshake without a valid key");
    }
    const { stream, isOpen, status, headers, target } = await webSocket.open(request);
    watch.stop();
    const fields = responseFieldsFor(record, job, headers, target);
    record.status = isOpen ? 101 : status;
    if (!isOpen) {
      const isChunked = request.httpVersion === "1.1" && fields["content-length"] === undefined;
      socket.write(refusalHead(status, fields, isChunked), "latin1");
      if (hasNoContent(status, "GET")) closeLater(socket);
      // On HTTP/1.1 a caller that ends its half before the end of the response has disconnected.
      socket.once("end", () => {
        if (socket.writableEnded) return;
        abort(stream);
        socket.destroy();
      });
      passRefusal(socket, stream, status, isChunked);
      return followTunnel(record, socket, stream);
    }
    const lines = [
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Accept: ${acceptKey(key)}`,
      ...fieldLines(fields),
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1"); // Node decodes fields as latin1, so their bytes pass
    webSocket.splice(stream, headers);
  } catch (error) {
    watch.stop();
    refuseRaw(socket, webSocket.fail(error), job.mode === "proxy" ? "proxy" : "server", record.id);
  }
}

export async function proxyWebSocketStream(
  request: Http2ServerRequest,
  job: ProxyJob,
  context: ProxyContext,
): Promise<void> {
  const caller: ServerHttp2Stream = request.stream;
  watchRemoteEnd(caller);
  const record = startRecord(request, job, context.tracing, "websocket");
  const webSocket = new CallerWebSocket(caller, { job, context, record });
  try {
    const { stream, isOpen, status, headers, target } = await webSocket.open(request);
    if (!isOpen && status < 300) {
      const reason = "on HTTP/2 that status would mean that the WebSocket is open (RFC 8441 §4)";
      throw new TurnaboutError(
        "target_protocol",
        `the target responded with ${status} instead of switching protocols: ${reason}`,
      );
    }
    record.status = status;
    respondOnHttp2(caller, status, responseFieldsFor(record, job, headers, target));
    if (isOpen) webSocket.splice(stream, headers);
    else {
      passRefusal(caller, stream, status, false);
      followTunnel(record, caller, stream);
      // A caller that does not end its half would keep the stream open.
      if (caller.writableFinished) closeAfterResponse(caller);
      else caller.once("finish", () => closeAfterResponse(caller));
    }
  } catch (error) {
    const refusal = errorResponseFor(webSocket.fail(error), "server", record.id);
    if (caller.destroyed) return;
    if (caller.headersSent) return resetStream(caller, toError(error));
    caller.respond({ ...refusal.headers, ":status": refusal.status });
    caller.end(refusal.body);
    closeAfterResponse(caller);
  }
}

/** On a route with the request's id: the caller of the forward proxy gets what the target has sent. */
function responseFieldsFor(
  { id }: RequestRecord,
  job: ProxyJob,
  headers: IncomingHttpHeaders,
  target: HandshakeResponse["target"],
): Record<string, string | string[]> {
  const fields = handshakeResponseFields(headers, job, target);
  if (job.mode === "api") fields[REQUEST_ID_FIELD] = id;
  return fields;
}

/** @throws TurnaboutError `target_protocol` if HTTP/2 cannot represent the status */
function respondOnHttp2(caller: ServerHttp2Stream, status: number, fields: OutgoingHttpHeaders): void {
  try {
    caller.respond({ ...http2Fields(withoutForbiddenLength(status, fields)), ":status": status });
  } catch (cause) {
    throw unrepresentable(status, cause);
  }
}

interface CallerWebSocketParts {
  job: ProxyJob;
  context: ProxyContext;
  record: RequestRecord;
  /** Aborted when the caller has disconnected, where 'close' does not show it. */
  disconnected?: AbortSignal;
}

/** A WebSocket from its request on: it is active at once, and is closed with its credential and with its group. */
class CallerWebSocket {
  readonly #stream: Duplex;
  readonly #caller: RevocableCaller;
  readonly #job: ProxyJob;
  readonly #context: ProxyContext;
  readonly #record: RequestRecord;
  /** Ends the target's stream where the exchange fails after its response. */
  #leaveTarget = (_reason: Error): void => {};

  constructor(stream: Duplex, { job, context, record, disconnected }: CallerWebSocketParts) {
    this.#stream = stream;
    this.#job = job;
    this.#context = context;
    this.#record = record;
    this.#caller = new RevocableCaller(stream, { disconnected, onEnd: () => this.#end() });
  }

  /** @throws TurnaboutError if there is no response of the target's own, or if the caller may no longer have it */
  async open(request: AnyRequest): Promise<HandshakeResponse> {
    this.#caller.register(this.#context.activeStreams, this.#job);
    this.#job.admit?.();
    const response = await openWebSocket(
      request,
      this.#job,
      this.#context,
      this.#caller.signal,
      this.#record,
    );
    const { stream, isOpen, headers } = response;
    const leave = (reason?: Error): void =>
      isOpen ? new ClientFrames(stream, headers).leaveNow(this.#caller.closed?.text) : abort(stream, reason);
    this.#leaveTarget = leave;
    const { closed } = this.#caller;
    if (closed !== undefined) throw closedError(closed);
    return response;
  }

  /** @param response fields of the target's response */
  splice(stream: Duplex, response: IncomingHttpHeaders): void {
    const { fromCaller } = this.#job;
    const onClose = (): void => this.#caller.release();
    const frames = new ClientFrames(stream, response);
    this.#caller.onClose(spliceWebSocket(this.#stream, stream, frames, { onClose, fromCaller }));
    const ends = { end: this.#stream, tunnel: stream, record: this.#record };
    this.#caller.watchTunnel(this.#context.shares, this.#job.identity, ends);
  }

  #end(): void {
    this.#record.code = this.#caller.codeOf(this.#record.code);
    this.#context.accessLog.end(this.#record);
  }

  /** Logs a failure. @returns the error for the caller */
  fail(cause: unknown): unknown {
    this.#caller.release();
    this.#leaveTarget(toError(cause));
    const error = this.#caller.reasonFor(cause);
    const { metrics, refusalLog } = this.#context;
    const known = error instanceof CodedError ? error : { code: "internal" };
    metrics.requests.inc({ outcome: known.code });
    this.#record.failed(error);
    if (this.#record.status === undefined) this.#record.status = errorResponseFor(error).status;
    const fields = failureFields(this.#job, known, this.#record);
    refusalLog.info({ ...fields, reason: toError(error).message }, "WebSocket failed");
    return error instanceof TurnaboutError ? offlineIfExpected(error, this.#job) : error;
  }
}

/**
 * Passes on the body of the target's own refusal. One way only: what the caller has sent is dropped, and a caller that
 * never ends its half keeps nothing open at the agent.
 */
function passRefusal(caller: Duplex, stream: Duplex, status: number, isChunked: boolean): void {
  caller.resume();
  caller.once("close", () => abort(stream));
  if (hasNoContent(status, "GET")) {
    caller.end();
    return abort(stream);
  }
  // Not delimited by the close: some clients, Node's among them, treat a reset as the end of such a body.
  if (isChunked)
    spliceOneWay(
      stream,
      caller,
      () => {},
      abort,
      copyInChunks,
      (to) => to.end("0\r\n\r\n"),
    );
  else spliceOneWay(stream, caller, () => {});
  stream.end();
}

/** RFC 9112 §7.1, without the last chunk. */
function copyInChunks(from: Duplex, to: Writable): void {
  from.on("data", (bytes: Buffer) => {
    if (to.destroyed || bytes.length === 0) return;
    to.cork();
    to.write(`${bytes.length.toString(16)}\r\n`);
    to.write(bytes);
    if (!to.write("\r\n")) from.pause();
    to.uncork();
  });
  to.on("drain", () => from.resume());
}

function refusalHead(status: number, fields: OutgoingHttpHeaders, isChunked: boolean): string {
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Refused"}`,
    "Connection: close",
    ...(isChunked && !hasNoContent(status, "GET") ? ["Transfer-Encoding: chunked"] : []),
    ...fieldLines(withoutForbiddenLength(status, fields)),
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function fieldLines(fields: OutgoingHttpHeaders): string[] {
  return Object.entries(fields).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? ""]).map((item) => `${name}: ${item}`),
  );
}
