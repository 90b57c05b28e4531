/**
 * WebSocket to a target: a caller's HTTP/1.1 Upgrade or RFC 8441 stream becomes Extended CONNECT on the reversed
 * session. The target's answer comes first: a caller that is refused never sees a 101. Frames pass as bytes.
 */
import { createHash } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { IncomingMessage } from "node:http";
import type {
  ClientHttp2Stream,
  Http2ServerRequest,
  IncomingHttpHeaders,
  ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";
import { codeFromRst } from "../wire/error-table.ts";
import { TurnaboutError } from "../wire/errors.ts";
import { CAPABILITY } from "../wire/protocol.ts";
import { endToEndHeaders } from "../wire/http-fields.ts";
import { formatAuthority } from "../wire/names.ts";
import { parseProxyStatus } from "../wire/proxy-status.ts";
import { abort, forward, relay } from "../wire/relay.ts";
import { streamLost } from "../wire/tunnel-socket.ts";
import { watchCaller } from "./caller-watch.ts";
import { refuseRaw } from "./doors/upgrade.ts";
import { preferredWaitMs, requestedTimeoutMs, requestFields } from "./forwarding.ts";
import { errorAnswer } from "./http-errors.ts";
import type { HttpProxyContext, ProxyJob } from "./http-proxy.ts";
import type { AnyRequest } from "./listener/port.ts";
import { RESPONSE_TIMEOUT_MS } from "./limits.ts";

/** What became of the handshake with the target. */
interface Answer {
  stream: ClientHttp2Stream;
  status: number;
  headers: IncomingHttpHeaders;
}

export async function proxyWebSocketUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  job: ProxyJob,
  context: HttpProxyContext,
): Promise<void> {
  const caller = watchCaller(socket, head);
  try {
    const key = request.headers["sec-websocket-key"];
    if (request.method !== "GET" || key === undefined || !/^[A-Za-z0-9+/]{22}==$/.test(key)) {
      throw new TurnaboutError("bad_request", "WebSocket handshake without a valid key");
    }
    const { stream, status, headers } = await open(request, job, context, caller.signal);
    caller.stop();
    const fields = endToEndHeaders(headers);
    if (status !== 200) {
      socket.write(refusalHead(status, fields));
      return passRefusal(socket, stream);
    }
    const lines = [
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Accept: ${acceptKey(key)}`,
      ...fieldLines(fields),
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    relay(socket, stream);
  } catch (error) {
    caller.stop();
    logFailure(error, job, context);
    refuseRaw(socket, error);
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
    const { stream, status, headers } = await open(request, job, context, gone.signal);
    caller.respond({ ...endToEndHeaders(headers), ":status": status });
    if (status === 200) relay(caller, stream);
    else passRefusal(caller, stream);
  } catch (error) {
    logFailure(error, job, context);
    if (caller.destroyed || caller.headersSent) return;
    const answer = errorAnswer(error);
    caller.respond({ ...answer.headers, ":status": answer.status });
    caller.end(answer.body);
  }
}

/** @throws TurnaboutError if the handshake did not get as far as an answer of the target's own */
async function open(
  request: AnyRequest,
  job: ProxyJob,
  context: HttpProxyContext,
  signal: AbortSignal,
): Promise<Answer> {
  const { destination, path, route, host } = job;
  const connection = await context.dialer.acquire(destination, {
    waitMs: preferredWaitMs(request.headers),
    signal,
  });
  if (!connection.hello.capabilities.includes(CAPABILITY.websocket)) {
    throw new TurnaboutError("tunnel_protocol", "the agent does not carry WebSockets");
  }
  const stream = connection.openStream({
    ...toRecord(requestFields(request, route, host)),
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":scheme": "http",
    ":authority": formatAuthority(destination),
    ":path": path,
  });
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const give = (error: TurnaboutError) => {
    reject(error);
    stream.destroy(error);
  };
  const timeoutMs = requestedTimeoutMs(request.headers, context.responseTimeoutMs ?? RESPONSE_TIMEOUT_MS);
  const timer = setTimeout(() => {
    give(new TurnaboutError("response_timeout", `WebSocket handshake: no answer within ${timeoutMs} ms`));
  }, timeoutMs);
  const onAbort = () => give(new TurnaboutError("aborted", "the caller has gone"));
  signal.addEventListener("abort", onAbort, { once: true });
  const label = `${destination.runner} ${destination.target}`;
  stream.once("close", () => {
    reject(stream.rstCode === 0 ? streamLost(stream, label) : resetError(stream, label));
  });
  stream.once("response", (headers) => {
    const status = headers[":status"] ?? 502;
    const refused = parseProxyStatus(headers["proxy-status"]);
    if (refused === undefined) resolve({ stream, status, headers });
    else give(new TurnaboutError(refused, `WebSocket ${label}: refused by the agent (${status})`));
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

function resetError(stream: ClientHttp2Stream, label: string): TurnaboutError {
  return new TurnaboutError(codeFromRst(stream.rstCode), `WebSocket ${label}: reset before an answer`);
}

/**
 * The body of the target's own refusal. One way only: what the caller had sent already is dropped, and a caller that
 * never ends its half keeps nothing open at the agent.
 */
function passRefusal(caller: Duplex, stream: ClientHttp2Stream): void {
  caller.resume();
  caller.once("close", () => abort(stream));
  forward(stream, caller, () => {});
  stream.end();
}

function refusalHead(status: number, fields: Record<string, string | string[]>): string {
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Refused"}`,
    "Connection: close",
    ...fieldLines(fields),
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function fieldLines(fields: Record<string, string | string[]>): string[] {
  return Object.entries(fields).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((item) => `${name}: ${item}`),
  );
}

function toRecord(fields: readonly string[]): Record<string, string | string[]> {
  const record: Record<string, string | string[]> = {};
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    const known = record[name];
    if (known === undefined) record[name] = value;
    else record[name] = [...(Array.isArray(known) ? known : [known]), value];
  }
  delete record["sec-websocket-key"]; // each hop has its own (RFC 8441 §5)
  return record;
}

function logFailure(error: unknown, job: ProxyJob, context: HttpProxyContext): void {
  const { runner, target } = job.destination;
  const known = error instanceof TurnaboutError ? error : undefined;
  context.metrics.requests.inc({ outcome: known?.code ?? "internal" });
  const reason = error instanceof Error ? error.message : String(error);
  context.log.info({ runner, target, code: known?.code, reason }, "WebSocket failed");
}

/** RFC 6455 §4.2.2. */
function acceptKey(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
