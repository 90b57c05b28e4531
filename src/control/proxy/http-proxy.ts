/**
 * HTTP to a target: the caller's request goes as HTTP/1.1 through a CONNECT stream, the answer comes back as it comes,
 * unbuffered in both directions. Not a Hono app: per request this is the hot path, and bodies stay node streams.
 */
import type { IncomingHttpHeaders } from "node:http";
import { ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import type { Dispatcher } from "undici";
import { errorCodeOf, toError, TurnaboutError } from "../../wire/errors.ts";
import { isPlainlyChunked } from "../../wire/fields/http-fields.ts";
import { Guard } from "../../wire/streams/guard.ts";
import type { Destination } from "../../wire/messages/names.ts";
import type { Logger } from "../../wire/log.ts";
import type { Pump } from "../../wire/streams/splice.ts";
import { lossOf } from "../../wire/streams/tunnel-socket.ts";
import type { Identity } from "../auth/identity.ts";
import { targetConnection } from "../http1-target/connection-logins.ts";
import { asSaturated, SaturatedDial } from "../registry/dial-retries.ts";
import type { Dialer } from "../registry/dialer.ts";
import {
  isGrpc,
  requestedTimeoutMs,
  requestFields,
  responseFields,
  trailerFields,
} from "../fields/header-fields.ts";
import type { ForwardedTo, Route } from "../fields/header-fields.ts";
import type { Client } from "../trusted-proxies/trusted-proxies.ts";
import { breakResponse, sendError } from "../listener/error-response.ts";
import type { Http2Exchange } from "../http2-target/exchange.ts";
import { callerResetCode } from "../http2-target/reset.ts";
import type { TargetDispatchOptions } from "../http2-target/target.ts";
import { isolate } from "../fields/content-sandbox.ts";
import { hasBody } from "../listener/messages.ts";
import type { AnyRequest, AnyResponse } from "../listener/messages.ts";
import {
  DIAL_ATTEMPTS,
  LOSS_SETTLE_MS,
  MAX_INFORMATIONAL_RESPONSES,
  MAX_MEASURED_BODY_BYTES,
  RESPONSE_TIMEOUT_MS,
  UNKNOWN_TARGET_HOLD_BYTES,
  UNKNOWN_TARGET_HOLD_MS,
} from "../limits.ts";
import type { ControlMetrics } from "../metrics.ts";
import type { Mount } from "../fields/mount.ts";
import type { ActiveStreams, CloseReason } from "../auth/active-streams.ts";
import { preferredWaitMs } from "./prefer.ts";
import { discard, holdBody, RequestBody } from "./request-body.ts";
import { hasNoContent, writeHead, writeInformational, writeTrailers } from "../listener/response-writer.ts";
import type { TargetHandler } from "../http1-target/target-client.ts";
import type { TargetPool } from "../http1-target/target-pools.ts";

/** How the bytes of a WebSocket's caller get to the target; it may refuse them, which closes the WebSocket. */
export type CallerPump = (refuse: (close: { code: number; reason: string }) => void) => Pump;

/** Where a route leads. */
export interface RoutedJob {
  destination: Destination;
  /** Path and query as the caller wrote them: nothing is normalised. */
  path: string;
  route: Route;
  /** `Host` for the target, if the agent says none of it. */
  host: string;
  /** On whose behalf: what it has opened is closed when its credential is revoked. */
  identity: Identity;
  /** The group of runners to which it belongs, if any: it is closed with the group. */
  group?: string | undefined;
  /** The target's own shared secret, injected here and unknown to the caller. */
  credentials?: string | undefined;
  /** How the route's paths stand for the target's. Without it the target's addresses stay as they are. */
  mount?: Mount | undefined;
  /** The target may set cookies, limited to its route. */
  hasCookies?: boolean | undefined;
  /** How the bytes of a WebSocket's caller get to the target. Default: unchanged. */
  fromCaller?: CallerPump | undefined;
  /** For WebSockets, when their handshake is in order and before anything is opened. @throws TurnaboutError */
  admit?: (() => void) | undefined;
}

export interface ProxyJob extends RoutedJob {
  /** Who has asked. */
  client: Client;
  /** A browser may show the answer as a page: it must not have our origin. */
  isolated?: boolean | undefined;
  /** Fields of the request that hold a token of ours. */
  withheld?: ReadonlySet<string> | undefined;
}

export interface HttpProxyContext {
  dialer: Dialer;
  metrics: ControlMetrics;
  activeStreams: ActiveStreams;
  log: Logger;
  /** Default {@link RESPONSE_TIMEOUT_MS}. */
  responseTimeoutMs?: number | undefined;
}

const NO_BYTES: Buffer = Buffer.alloc(0);

const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

export function proxyHttp(
  request: AnyRequest,
  response: AnyResponse,
  job: ProxyJob,
  context: HttpProxyContext,
): void {
  new Exchange(request, response, job, context).start();
}

class Exchange implements TargetHandler {
  /** Set by the pool. */
  expectResponse: (() => void) | undefined;
  /** Set by the pool. */
  received: TargetHandler["received"];
  readonly #request: AnyRequest;
  readonly #response: AnyResponse;
  readonly #job: ProxyJob;
  readonly #context: HttpProxyContext;
  readonly #waiting = new AbortController();
  /** Around everything that runs on what the target or the caller has sent. */
  readonly #guard = new Guard(
    (error) => this.#failHere(error),
    () => breakResponse(this.#request, this.#response),
  );
  #controller: Dispatcher.DispatchController | undefined;
  /** What its agent says of the target. */
  #target: ForwardedTo;
  #attempt = 0;
  #hasBody = false;
  #callerGone = false;
  #settled = false;
  /** An agent has died under it, and it was tried again. */
  #hasLost = false;
  readonly #saturatedDial = new SaturatedDial();
  #saturated: TurnaboutError | undefined;
  #informational = 0;
  /** The target may not send content, or what it sends is not for the caller. */
  #noContent = false;
  /** The last chunk of a body of known length waits for the end, to leave in one write with it. */
  #last: Buffer | undefined;
  #remaining = -1;

  constructor(request: AnyRequest, response: AnyResponse, job: ProxyJob, context: HttpProxyContext) {
    this.#request = request;
    this.#response = response;
    this.#job = job;
    this.#context = context;
  }

  start(): void {
    this.#hasBody = hasBody(this.#request);
    const { identity, group } = this.#job;
    const close = this.#guard.wrap((reason: CloseReason) => this.#cut(reason));
    const done = this.#context.activeStreams.add({ identity, group, close });
    this.#response.once("close", done);
    this.#request.on("error", () => {}); // for ever
    this.#response.on("error", () => {}); // for ever
    this.#response.once(
      "close",
      this.#guard.wrap(() => this.#onCallerClose()),
    );
    this.#guard.run(() => this.#dispatch());
  }

  async #dispatch(): Promise<void> {
    this.#attempt += 1;
    const { destination, path } = this.#job;
    const request = this.#request;
    const connection = await this.#context.dialer.acquire(destination, {
      waitMs: preferredWaitMs(request.headers),
      signal: this.#waiting.signal,
      caller: this.#job.identity.id,
      reusesStreams: true,
      saturated: this.#saturated,
    });
    this.#target = connection.targetInfo(destination);
    const { target, isSingleUse } = targetConnection(request, this.#job, connection);
    const body = this.#hasBody ? await this.#body(target) : null;
    if (this.#callerGone) return;
    const fields = requestFields(request, this.#job, this.#target);
    if (Buffer.isBuffer(body)) fields.push("content-length", String(body.length));
    // gRPC has deadlines of its own, and a stream without news has no response header either.
    const hasDeadline = target.version === "2" && isGrpc(request.headers);
    const most = hasDeadline ? Infinity : (this.#context.responseTimeoutMs ?? RESPONSE_TIMEOUT_MS);
    const options: TargetDispatchOptions = {
      path,
      method: request.method ?? "GET",
      headers: fields,
      body,
      headersTimeout: requestedTimeoutMs(request.headers, most),
      trailers: () => trailerFields(request),
      reset: isSingleUse,
    };
    target.pool.dispatch(options, this);
  }

  /** RFC 9112 §6.1: chunked only to a target that is known to speak HTTP/1.1. */
  async #body(target: TargetPool): Promise<Buffer | Readable> {
    const request = this.#request;
    const isMeasured = request.headers["content-length"] !== undefined;
    if (isMeasured || target.version === "1.1" || target.version === "2") return new RequestBody(request);
    const held =
      target.version === "1.0"
        ? await holdBody(request, MAX_MEASURED_BODY_BYTES)
        : await holdBody(request, UNKNOWN_TARGET_HOLD_BYTES, UNKNOWN_TARGET_HOLD_MS);
    const isChunked = target.version === "unknown" && request.rawTrailers.length > 0; // else they would be lost
    if (held.complete && !isChunked) return Buffer.concat(held.chunks, held.bytes);
    if (target.version === "1.0") {
      discard(request);
      throw new TurnaboutError(
        "length_required",
        `a body of more than ${MAX_MEASURED_BODY_BYTES} bytes without Content-Length, for an HTTP/1.0 target`,
      );
    }
    return new RequestBody(request, held.chunks);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.expectResponse?.();
    if (this.#callerGone || this.#settled) controller.abort(callerGone());
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    reason?: string,
  ): void {
    if (this.#settled) return;
    this.#guard.run(() => {
      if (status < 200) this.#passInformational(status, headers);
      else this.#passHead(controller, status, headers, reason);
    });
  }

  #passInformational(status: number, headers: IncomingHttpHeaders): void {
    this.#informational += 1;
    if (this.#informational > MAX_INFORMATIONAL_RESPONSES) {
      throw new TurnaboutError(
        "target_protocol",
        `more than ${MAX_INFORMATIONAL_RESPONSES} informational responses before the final one`,
      );
    }
    try {
      writeInformational(this.#response, status, responseFields(headers, this.#job, this.#target));
    } catch (error) {
      // The final response does not depend on it.
      this.#context.log.debug({ status, reason: toError(error).message }, "informational response dropped");
    }
  }

  #passHead(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    reason: string | undefined,
  ): void {
    const response = this.#response;
    this.#noContent = hasNoContent(status, this.#request.method);
    if (!this.#noContent && !isPlainlyChunked(headers["transfer-encoding"])) {
      throw new TurnaboutError(
        "target_protocol",
        "the target's content has a transfer coding besides chunked",
      );
    }
    const fields = responseFields(headers, this.#job, this.#target);
    if (this.#job.isolated === true) isolate(fields);
    const length = headers["content-length"];
    this.#remaining = length === undefined ? -1 : Number(length);
    // A gRPC response of trailers only has to stay one header section that ends the stream.
    const endStream = (controller as Partial<Http2Exchange>).isHeaderOnly === true;
    try {
      writeHead(response, status, fields, { reason: this.received?.reason ?? reason, endStream });
    } catch (cause) {
      throw inexpressible("response", status, cause);
    }
    response.on(
      "drain",
      this.#guard.wrap(() => controller.resume()),
    );
    // Header and a small body leave together; a header without a body yet must not wait for it. Not flushHeaders(),
    // which writes the header as UTF-8 and so doubles every byte beyond ASCII.
    if (response instanceof ServerResponse) {
      setImmediate(() => {
        if (!this.#settled) this.#guard.run(() => response.write(NO_BYTES));
      });
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled || this.#noContent) return;
    this.#guard.run(() => {
      if (this.#remaining >= 0) {
        this.#remaining -= chunk.length;
        if (this.#remaining === 0) {
          this.#last = chunk;
          return;
        }
      }
      if (!this.#write(chunk)) controller.pause();
    });
  }

  #write(chunk: Buffer): boolean {
    const response = this.#response;
    return response instanceof ServerResponse ? response.write(chunk) : response.write(chunk);
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    if (this.#settled) return;
    this.#guard.run(() => {
      const response = this.#response;
      if (Object.keys(trailers).length > 0) this.#passTrailers(trailers);
      this.#settled = true;
      if (this.#last === undefined) response.end();
      else response.end(this.#last);
      this.#context.metrics.requests.inc({ outcome: "ok" });
    });
  }

  #passTrailers(trailers: IncomingHttpHeaders): void {
    try {
      writeTrailers(this.#response, responseFields(trailers, this.#job, this.#target));
    } catch (error) {
      // Trailers may be left out (RFC 9110 §6.5.1); the content is complete.
      this.#context.log.info({ reason: toError(error).message }, "trailer section dropped");
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#guard.run(() => this.#fail(error));
  }

  /** An error on our side of the response: the target's side has to be told as well. */
  #failHere(error: Error): void {
    try {
      this.#fail(error);
    } finally {
      if (this.#settled) this.#controller?.abort(error);
    }
  }

  #fail(error: Error): void {
    if (this.#settled) return;
    if (this.#callerGone) {
      this.#settled = true;
      this.#context.metrics.requests.inc({ outcome: "aborted" });
      return;
    }
    if (this.#isLost(error)) {
      this.#hasLost = true;
      this.#guard.run(() => this.#dispatchElsewhere(error));
      return;
    }
    const isCrowded = lossOf(error)?.crowded === true && !this.#hasBody && !this.#response.headersSent;
    if (isCrowded && error !== this.#saturated) {
      this.#saturated = asSaturated(error);
      this.#guard.run(() => this.#lineUp(error));
      return;
    }
    if (this.#mayRetry(error)) {
      this.#guard.run(() => this.#dispatch());
      return;
    }
    this.#settled = true;
    const known = classify(error, this.#job);
    const { runner, target } = this.#job.destination;
    this.#context.metrics.requests.inc({ outcome: known.code });
    const { resetCode } = lossOf(error) ?? {};
    const isBegun = this.#response.headersSent;
    // To gRPC a reset says more than our error page.
    const mustReset = isBegun || (resetCode !== undefined && isGrpc(this.#request.headers));
    if (mustReset) breakResponse(this.#request, this.#response, callerResetCode(resetCode, isBegun));
    const requestId = mustReset ? undefined : sendError(this.#request, this.#response, known);
    this.#context.log.info(
      {
        runner,
        target,
        client: this.#job.client.address,
        code: known.code,
        reason: error.message,
        requestId,
      },
      "request failed",
    );
  }

  /** A byte of a response has come, be it informational: the target has the request, and the caller may know. */
  #hasBegun(): boolean {
    return this.#response.headersSent || this.#informational > 0 || this.received?.hasBegun === true;
  }

  /**
   * Only where no byte of the request can have had an effect: the agent has not looked at it, or an idle stream that a
   * safe request took over turned out to be closed (RFC 9110 §9.2.2).
   */
  #mayRetry(error: Error): boolean {
    if (this.#hasBody || this.#hasBegun() || this.#attempt >= DIAL_ATTEMPTS) return false;
    const loss = lossOf(error);
    if (loss?.unprocessed === true) return true;
    const socket = (error as { socket?: { bytesRead?: number } }).socket;
    const reused =
      loss?.reused === true || (errorCodeOf(error) === "UND_ERR_SOCKET" && (socket?.bytesRead ?? 0) > 0);
    return reused && SAFE_METHODS.has(this.#request.method ?? "");
  }

  /** A safe request whose agent has died before the caller got a byte: tried again, once (RFC 9110 §9.2.2). */
  #isLost(error: Error): boolean {
    if (this.#hasBody || this.#hasBegun() || this.#hasLost) return false;
    if (!SAFE_METHODS.has(this.#request.method ?? "")) return false;
    return error instanceof TurnaboutError && error.code === "tunnel_lost";
  }

  /** Where another connection exists. A dying agent's connections end one after the other: they are not another. */
  async #dispatchElsewhere(loss: Error): Promise<void> {
    await pause(LOSS_SETTLE_MS);
    if (this.#settled) return;
    if (this.#callerGone || !this.#context.dialer.reaches(this.#job.destination.runner)) {
      return this.#fail(loss);
    }
    await this.#dispatch();
  }

  /** Its target has too many streams; nothing of the request has reached that. */
  async #lineUp(crowded: Error): Promise<void> {
    if (!(await this.#saturatedDial.mayRetry())) return this.#fail(crowded);
    if (this.#settled) return;
    if (this.#callerGone) return this.#fail(crowded);
    await this.#dispatch();
  }

  /** The credential was revoked, or the group closed: what is under way ends as broken. */
  #cut(reason: CloseReason): void {
    if (this.#settled) return;
    this.#fail(new TurnaboutError("not_allowed", reason.text));
    this.#waiting.abort();
    this.#controller?.abort(callerGone());
  }

  #onCallerClose(): void {
    if (this.#settled) return; // not `writableFinished`: a reset HTTP/2 stream claims that too
    this.#callerGone = true;
    this.#waiting.abort();
    this.#controller?.abort(callerGone());
  }
}

/** A response that the caller's protocol, or node, has no expression for. */
function inexpressible(what: string, status: number, cause: unknown): TurnaboutError {
  return new TurnaboutError(
    "target_protocol",
    `the target's ${what} (${status}) cannot be passed on: ${toError(cause).message}`,
    { cause },
  );
}

function callerGone(): TurnaboutError {
  return new TurnaboutError("aborted", "the caller has gone");
}

/** A runner of a group is expected, also if its agent has not dialled yet: it is offline, not unknown. */
export function expected(error: TurnaboutError, job: ProxyJob): TurnaboutError {
  if (job.group === undefined || error.code !== "runner_unknown") return error;
  return new TurnaboutError("runner_offline", error.message, { cause: error });
}

/** undici's errors → ours. */
function classify(error: Error, job: ProxyJob): TurnaboutError {
  if (error instanceof TurnaboutError) return expected(error, job);
  const code = errorCodeOf(error) ?? "";
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT") {
    return new TurnaboutError("response_timeout", "no answer from the target in time", { cause: error });
  }
  if (isProtocolError(error, code)) {
    return new TurnaboutError("target_protocol", "the target's answer is not valid HTTP", { cause: error });
  }
  if (code === "UND_ERR_SOCKET" || code === "UND_ERR_CLOSED" || code === "UND_ERR_DESTROYED") {
    return new TurnaboutError("target_closed", "the target closed without a complete response", {
      cause: error,
    });
  }
  if (code === "UND_ERR_INVALID_ARG" || code === "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH") {
    return new TurnaboutError("bad_request", "the request cannot be passed on", { cause: error });
  }
  return new TurnaboutError("internal", error.message, { cause: error });
}

/** A parser error has no code where the answer does not even begin as HTTP, and a socket error tells only by its text. */
function isProtocolError(error: Error, code: string): boolean {
  if (error.name === "HTTPParserError" || code.startsWith("HPE_")) return true;
  if (code === "UND_ERR_SOCKET") return error.message === "bad upgrade" || error.message === "bad response";
  // ERR_ASSERTION: undici's own check of the status code, below 100.
  return code === "UND_ERR_HEADERS_OVERFLOW" || code.startsWith("UND_ERR_RES") || code === "ERR_ASSERTION";
}
