/** Those who call the control plane's port, in every way that one port speaks HTTP. */
import http from "node:http";
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import http2 from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import https from "node:https";
import type { Readable, Writable } from "node:stream";
import { closedAtTheEnd } from "./cleanup.ts";
import { ending, next, within } from "./events.ts";
import type { Ending } from "./events.ts";
import { ADMIN_TOKEN, RUNNER, TARGET } from "./system.ts";
import type { System } from "./system.ts";

/** Prior knowledge is HTTP/2 on plaintext. The TLS ones need a system that was started with `tls`. */
export type CallerKind = "HTTP/1.1" | "HTTP/2 by prior knowledge" | "HTTP/1.1 on TLS" | "HTTP/2 on TLS";

export const CALLERS: readonly CallerKind[] = [
  "HTTP/1.1",
  "HTTP/2 by prior knowledge",
  "HTTP/1.1 on TLS",
  "HTTP/2 on TLS",
];

export const PLAINTEXT_CALLERS: readonly CallerKind[] = CALLERS.slice(0, 2);

export interface CallOptions {
  method?: string;
  /** Sent as it is. */
  path: string;
  /** Over and above `Authorization`; `authorization: undefined` leaves that out. */
  headers?: OutgoingHttpHeaders;
  /** No body will follow; on HTTP/2 the header says so at once. Default false. */
  bodyless?: boolean;
  /** On HTTP/2: the request asks for its trailers with 'wantTrailers'. Default false. */
  waitForTrailers?: boolean;
}

/** The control plane's response, as far as the header goes. */
export interface CallerResponse {
  status: number;
  /** Empty on HTTP/2, which has none. */
  reason: string;
  headers: IncomingHttpHeaders;
  body: Readable;
  /** Complete when the body has ended. */
  trailers: IncomingHttpHeaders;
}

export interface Call {
  /** The request's body; `end()` it. `destroy()` is an abort. */
  readonly request: ClientRequest | ClientHttp2Stream;
  readonly response: Promise<CallerResponse>;
  /** Statuses and fields of 1xx responses so far. */
  readonly informational: { status: number; headers: IncomingHttpHeaders }[];
  abort(): void;
}

export interface Caller extends AsyncDisposable {
  readonly isHttp2: boolean;
  /** Sends the header now; the body is the test's to write. */
  open(options: CallOptions): Call;
  /** A whole exchange. `body` goes with a length; the response is read to its end, whatever end that is. */
  call(
    options: CallOptions & { body?: string | Buffer },
  ): Promise<CallerResponse & Ending & { text: string }>;
  close(): Promise<void>;
}

/** Where to call: a {@link System}, or a control plane in another process. */
export interface CallerTo {
  readonly controlPlane: { readonly port: number };
  readonly pki: System["pki"];
}

/** Path of the API route to a target. */
export function via(path: string, target: string = TARGET, runner: string = RUNNER): string {
  return `/api/v1/runners/${runner}/targets/${target}${path}`;
}

export async function openCaller(kind: CallerKind, system: CallerTo): Promise<Caller> {
  const isTls = kind.endsWith("TLS");
  if (isTls && system.pki === undefined) throw new Error("this system has no TLS");
  return kind.startsWith("HTTP/2") ? openHttp2(system, isTls) : openHttp1(system, isTls);
}

function openHttp1(system: CallerTo, isTls: boolean): Caller {
  const open = ({ method = "GET", path, headers = {} }: CallOptions): Call => {
    const { promise, resolve, reject } = Promise.withResolvers<CallerResponse>();
    promise.catch(() => {}); // a test that aborts does not wait for the response
    const informational: Call["informational"] = [];
    const request = (isTls ? https : http).request({
      host: isTls ? "localhost" : "127.0.0.1",
      port: system.controlPlane.port,
      agent: false,
      method,
      path,
      headers: withToken(headers),
      ...(system.pki !== undefined && { ca: system.pki.ca }),
    });
    request.on("error", reject);
    request.on("information", ({ statusCode, headers }) => {
      informational.push({ status: statusCode, headers });
    });
    request.on("response", (response: IncomingMessage) => {
      response.on("error", () => {}); // permanent: a test that only looks at the header
      resolve({
        status: response.statusCode ?? 0,
        reason: response.statusMessage ?? "",
        headers: response.headers,
        body: response,
        get trailers() {
          return response.trailers;
        },
      });
    });
    request.write(Buffer.alloc(0)); // sends the header; flushHeaders() would write it as UTF-8
    return { request, response: promise, informational, abort: () => request.destroy() };
  };
  const close = (): Promise<void> => Promise.resolve();
  return { isHttp2: false, open, call: wholeCall(open), close, [Symbol.asyncDispose]: close };
}

async function openHttp2(system: CallerTo, isTls: boolean): Promise<Caller> {
  const session = http2.connect(
    `${isTls ? "https://localhost" : "http://127.0.0.1"}:${system.controlPlane.port}`,
    system.pki === undefined ? {} : { ca: system.pki.ca },
  );
  session.on("error", () => {}); // permanent
  const close = closedAtTheEnd(() => closeSession(session));
  await next(session, "remoteSettings");
  const open = ({ method = "GET", path, headers = {}, bodyless = false, ...more }: CallOptions): Call => {
    const { promise, resolve, reject } = Promise.withResolvers<CallerResponse>();
    promise.catch(() => {});
    const informational: Call["informational"] = [];
    const stream = session.request(
      { ":method": method, ":path": path, ...withToken(headers) },
      { endStream: bodyless, waitForTrailers: more.waitForTrailers === true },
    );
    let trailers: IncomingHttpHeaders = {};
    stream.on("error", reject); // permanent
    stream.on("close", () => reject(new Error(`closed without a response, code ${stream.rstCode}`)));
    stream.on("headers", ({ ":status": status = 0, ...fields }) => {
      informational.push({ status, headers: fields });
    });
    stream.on("trailers", (fields) => (trailers = fields));
    stream.on("response", ({ ":status": status = 0, ...fields }) => {
      resolve({
        status,
        reason: "",
        headers: fields,
        body: stream,
        get trailers() {
          return trailers;
        },
      });
    });
    return { request: stream, response: promise, informational, abort: () => stream.close(CANCEL) };
  };
  return { isHttp2: true, open, call: wholeCall(open), close, [Symbol.asyncDispose]: close };
}

const CANCEL: number = http2.constants.NGHTTP2_CANCEL;

async function closeSession(session: ClientHttp2Session): Promise<void> {
  if (session.destroyed) return;
  const closed = next(session, "close");
  session.destroy();
  await closed;
}

function wholeCall(open: Caller["open"]): Caller["call"] {
  return async ({ body, headers = {}, ...options }) => {
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const bodyless = body === undefined;
    const call = open({ ...options, bodyless, headers: { ...headers, ...length } });
    const writable: Writable = call.request;
    if (!writable.writableEnded) writable.end(body);
    const response = await within(call.response, `a response to ${options.method ?? "GET"} ${options.path}`);
    const end = await ending(response.body);
    // Not a spread: the trailers are there only now.
    return Object.assign(response, end, { text: end.data.toString("utf8") });
  };
}

function withToken(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const { authorization = `Bearer ${ADMIN_TOKEN}`, ...rest } = headers;
  return "authorization" in headers && headers.authorization === undefined
    ? rest
    : { ...rest, authorization };
}

/** The code in an error body of ours. */
export function errorCode(text: string): string {
  return (JSON.parse(text) as { error: { code: string } }).error.code;
}
