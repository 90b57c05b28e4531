/**
 * HTTP to a target: the caller's request goes as HTTP/1.1 or HTTP/2 through a CONNECT stream, and the response comes
 * back as it arrives, unbuffered in both directions. Not a Hono app: this is the hot path, and bodies stay Node streams.
 * Longer than 300 lines because one exchange is one state, in which its callbacks meet.
 */
import type { IncomingHttpHeaders } from "node:http";
import { ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import type { Dispatcher } from "undici";
import { TurnaboutError } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { requestedTimeoutMs } from "../fields/header-fields.ts";
import type { CloseReason } from "../auth/active-streams.ts";
import { targetConnection } from "./connection-logins.ts";
import type { TargetHandler } from "../http1-target/target-client.ts";
import type { Http2Exchange } from "../http2-target/exchange.ts";
import { LOSS_SETTLE_MS, RESPONSE_TIMEOUT_MS } from "../limits.ts";
import { breakResponse } from "../listener/error-response.ts";
import { hasBody } from "../listener/messages.ts";
import type { AnyRequest, AnyResponse } from "../listener/messages.ts";
import type { RequestRecord } from "../records/request-record.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import { credentialHolder } from "../shares/holders.ts";
import type { Release } from "../shares/shares.ts";
import { dispatchOptions } from "../http1-target/dispatch-options.ts";
import { ContentFlow } from "./content-flow.ts";
import { endRecord, startRecord } from "./job.ts";
import type { ProxyContext, ProxyJob } from "./job.ts";
import { preferredWait } from "../fields/prefer.ts";
import { bodyFor } from "./request-body.ts";
import { ResponseRelay } from "./response-relay.ts";
import { Retries } from "./retries.ts";
import { closedError, RevocableCaller } from "./revocable-caller.ts";
import { disconnected, endWithError, reportAbandoned, reportFailure, targetError } from "./target-errors.ts";
import type { FailedRequest } from "./target-errors.ts";

const NO_BYTES: Buffer = Buffer.alloc(0);

export function proxyHttp(
  request: AnyRequest,
  response: AnyResponse,
  job: ProxyJob,
  context: ProxyContext,
): void {
  new HttpExchange(request, response, job, context).start();
}

class HttpExchange implements TargetHandler {
  connection: TargetHandler["connection"];
  dispatched: TargetHandler["dispatched"];
  received: TargetHandler["received"];
  readonly #request: AnyRequest;
  readonly #response: AnyResponse;
  readonly #job: ProxyJob;
  readonly #context: ProxyContext;
  readonly #caller: RevocableCaller;
  readonly #relay: ResponseRelay;
  readonly #retries: Retries;
  readonly #hasBody: boolean;
  readonly #record: RequestRecord;
  /** Around everything that runs on what the target or the caller has sent. */
  readonly #guard = new Guard(
    (error) => this.#failHere(error),
    () => breakResponse(this.#request, this.#response),
  );
  readonly #flow: ContentFlow;
  /** Gives back the place on the agent's connection. */
  #release: Release = () => {};
  /** The connection that it has got, or got last. */
  #agent: AgentConnection | undefined;
  #hasDisconnected = false;
  #settled = false;
  #heldTimer: NodeJS.Timeout | undefined;

  constructor(request: AnyRequest, response: AnyResponse, job: ProxyJob, context: ProxyContext) {
    this.#request = request;
    this.#response = response;
    this.#job = job;
    this.#context = context;
    this.#hasBody = hasBody(request);
    this.#record = startRecord(request, job, context.tracing);
    this.#relay = new ResponseRelay(response, request.method, job, context);
    this.#flow = new ContentFlow({
      exchange: this,
      holder: credentialHolder(job.identity),
      shares: context.shares,
      guard: this.#guard,
    });
    this.#retries = new Retries(request.method, this.#hasBody);
    this.#caller = new RevocableCaller(response, {
      onDisconnect: this.#guard.wrap(() => this.#onDisconnect()),
      onEnd: () => endRecord(this.#record, response, this.#relay, context.accessLog),
      isEndless: () => this.#relay.isEventStream,
    });
  }

  start(): void {
    this.#caller.register(this.#context.activeStreams, this.#job);
    this.#caller.onClose(this.#guard.wrap((reason: CloseReason) => this.#onClose(reason)));
    this.#request.on("error", () => {}); // permanent
    this.#context.shares.turns.run(credentialHolder(this.#job.identity), this);
  }

  /** Its turn has come. */
  begin(): void {
    if (this.#settled) return;
    if (this.#hasDisconnected) return this.#settle("aborted");
    this.#caller.watch(this.#context.shares.unread, {
      identity: this.#job.identity,
      end: this.#response,
      writtenBytes: () => this.#relay.writtenBytes,
      receivedBytes: () => this.#flow.receivedBytes,
      heldBytes: () => this.#flow.heldBytes(this.#request),
    });
    this.#guard.run(() => this.#dispatch());
  }

  async #dispatch(): Promise<void> {
    this.#retries.countAttempt();
    const { destination } = this.#job;
    const request = this.#request;
    this.#release();
    const { connection, release } = await this.#context.dialer.acquire(destination, {
      ...preferredWait(request.headers),
      signal: this.#caller.signal,
      caller: credentialHolder(this.#job.identity),
      reusesStreams: true,
      saturated: this.#retries.saturated,
      record: this.#record,
    });
    this.#release = release;
    this.#agent = connection;
    const declaration = connection.targetInfo(destination);
    this.#relay.target = declaration;
    const { target, isSingleUse } = targetConnection(request, this.#job, connection);
    const body = this.#hasBody ? await bodyFor(target, request, this.#record) : null;
    if (this.#hasDisconnected) return release();
    const isHttp2 = target.version === "2";
    const dispatched = { cause: this.#record, body, declaration, isHttp2, isSingleUse };
    target.pool.dispatch(dispatchOptions(request, this.#job, this.#context, dispatched), this);
    // Its requests share one stream: the target's own queue bounds them.
    if (isHttp2) release();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#flow.controller = controller;
    this.connection?.expectResponse(this);
    this.#record.requested();
    if (this.#hasDisconnected || this.#settled) controller.abort(disconnected());
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    reason?: string,
  ): void {
    if (this.#settled) return;
    this.#guard.run(() => {
      if (status < 200) return this.#relay.passInformational(status, headers);
      this.#record.responded(this.connection?.socket?.acceptedAt);
      const { isHeaderOnly } = controller as Partial<Http2Exchange>;
      const { reason: phrase = reason, isHttp10 = false } = this.received ?? {};
      this.#relay.passHead({
        status,
        headers,
        reason: phrase,
        isWhole: isHeaderOnly === true,
        isHttp2: isHeaderOnly !== undefined,
        isHttp10,
        requestId: this.#record.id,
      });
      this.#response.on("drain", this.#flow.drained);
      this.#flushHead();
      if (this.#relay.isHeld) this.#limitHeld();
    });
  }

  /** The caller has nothing yet, so the time of the response's header is that of the whole response. */
  #limitHeld(): void {
    const { responseTimeoutMs: maxMs = RESPONSE_TIMEOUT_MS } = this.#context;
    const ms = requestedTimeoutMs(this.#request.headers, maxMs);
    const error = new TurnaboutError("response_timeout", `content to be rewritten: not all within ${ms} ms`);
    this.#heldTimer = setTimeout(() => this.#guard.fail(error), ms);
  }

  /**
   * Header and a small body leave together; a header without a body yet must not wait for it. Not flushHeaders(), which
   * writes the header as UTF-8 and so doubles every byte above 0x7f.
   */
  #flushHead(): void {
    const response = this.#response;
    setImmediate(() => {
      if (this.#settled) return;
      this.#guard.run(() => {
        this.#relay.sendHead();
        if (response instanceof ServerResponse && response.headersSent) response.write(NO_BYTES);
      });
    });
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return;
    this.#guard.run(() => this.#flow.passed(chunk, this.#relay.passContent(chunk)));
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    if (this.#settled) return;
    this.#guard.run(() => {
      this.#relay.passRewritten();
      this.#relay.passTrailers(trailers);
      this.#settle("ok");
      this.#relay.end();
    });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#guard.run(() => this.#fail(error));
  }

  /** An error on our side of the response: the target's side has to end as well. */
  #failHere(error: Error): void {
    try {
      this.#fail(error);
    } finally {
      if (this.#settled) this.#flow.controller?.abort(error);
    }
  }

  #fail(error: Error): void {
    if (this.#settled) return;
    if (this.#hasDisconnected) return this.#settle("aborted");
    switch (this.#retries.next(error, this.#failed.hasBegun)) {
      case "now":
        return this.#guard.run(() => this.#dispatch());
      case "after-loss":
        return this.#guard.run(() => this.#dispatchAfterLoss(error));
      case "after-saturation":
        return this.#guard.run(() => this.#dispatchAfterSaturation(error));
      case "none":
        return this.#refuse(error);
    }
  }

  #refuse(error: Error): void {
    const failed = this.#failed;
    const known = targetError(error, failed);
    this.#record.failed(known);
    this.#settle(known.code);
    this.#relay.flush();
    endWithError(this.#request, this.#response, known, error);
    reportFailure(known, failed, this.#context);
  }

  get #failed(): FailedRequest {
    const hasBegun = this.#relay.hasBegun || this.received?.hasBegun === true;
    return { job: this.#job, record: this.#record, agent: this.#agent, hasBegun };
  }

  /** Where another connection exists, those of a dying process not counted; or where its agent gives no notice of a restart. */
  async #dispatchAfterLoss(loss: Error): Promise<void> {
    await pause(LOSS_SETTLE_MS);
    if (this.#settled) return;
    const { runner } = this.#job.destination;
    const canReach = this.#agent?.tunnel.hasLeftUnannounced === true || this.#context.dialer.reaches(runner);
    if (this.#hasDisconnected || !canReach) return this.#fail(loss);
    await this.#dispatch();
  }

  async #dispatchAfterSaturation(refusal: Error): Promise<void> {
    const hasRoom = await this.#retries.waitForRoom();
    if (!hasRoom || this.#hasDisconnected) return this.#fail(refusal);
    if (!this.#settled) await this.#dispatch();
  }

  #settle(outcome: string): void {
    this.#settled = true;
    clearTimeout(this.#heldTimer);
    this.#release();
    this.#record.code = outcome;
    this.#caller.complete();
    this.#context.metrics.requests.inc({ outcome });
  }

  #onClose(reason: CloseReason): void {
    // All of the response is written, and does not leave.
    if (this.#settled && reason.kind === "stalled") return breakResponse(this.#request, this.#response);
    if (this.#settled) return;
    const error = closedError(reason);
    if (reason.kind === "restarting" && this.#relay.isEventStream) {
      this.#settle(error.code);
      this.#relay.end();
    } else this.#fail(error);
    this.#flow.controller?.abort(disconnected());
  }

  // Not `writableFinished`: a reset HTTP/2 stream claims that too.
  #onDisconnect(): void {
    this.#hasDisconnected = true;
    if (!this.#settled) reportAbandoned(this.#failed, this.#context);
    this.#flow.controller?.abort(disconnected());
  }
}
