/**
 * One of an agent's connections: dial, serve until it ends, wait, dial again, for ever. No error ends the loop; only
 * `close()` does.
 */
import { constants } from "node:http2";
import type { ServerHttp2Session } from "node:http2";
import { TLSSocket } from "node:tls";
import { receivedBytes } from "../../wire/session/carrier.ts";
import type { Carrier } from "../../wire/session/carrier.ts";
import { isErrorCode } from "../../wire/error-table.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { describeDeath, keepAlive } from "../../wire/session/keepalive.ts";
import { AGENT_PATHS, HEADER } from "../../wire/protocol.ts";
import { parseGoaway, sendGoaway } from "../../wire/session/goaway.ts";
import type { Goaway } from "../../wire/session/goaway.ts";
import { destroySession } from "../../wire/session/reversed-session.ts";
import { VERSION } from "../../wire/version.ts";
import { Backoff } from "../backoff.ts";
import { CarrierChooser } from "../carriers/auto.ts";
import type { Established } from "../carriers/auto.ts";
import type { AgentConfig } from "../config.ts";
import { readSecret } from "../transport/credentials.ts";
import { doorUrl, redactUrl, socketPathOf, zoneOf } from "../transport/server-url.ts";
import {
  BACKOFF_BASE_MS,
  BACKOFF_CAP_FLOOR_MS,
  BACKOFF_CAP_MS,
  FILE_COMPLAINT_MS,
  MAX_DRAINING_SESSIONS,
  REFUSED_BACKOFF_BASE_MS,
  REFUSED_BACKOFF_CAP_MS,
  RESTART_BACKOFF_CAP_MS,
  RESTART_MS,
  STABLE_AFTER_MS,
  STANDBY_CONNECT_MS,
  STANDBY_DELAY_MS,
} from "../limits.ts";

export interface SlotContext {
  config: AgentConfig;
  /** Named in the door's URL, so that a refusal comes as an HTTP status. */
  doorRunnerIds(): readonly string[];
  /** Serves the streams of a session; `onHello` is called when the control plane has asked for `/hello`. */
  serve(session: ServerHttp2Session, carrier: Carrier, onHello: () => void): void;
  /**
   * Shared by the slots of an agent: it has been replaced, and from then on registers only what nobody else serves.
   * Never taken back: a process that was superseded once has no claim to be the newest.
   */
  standby: boolean;
  /** What the control plane has said last of how its agents spread their reconnects; undefined where it says nothing. */
  reconnectSpreadMs: number | undefined;
  connectionsChanged(delta: 1 | -1): void;
  connectFailed(error: Error): void;
  established(kind: Carrier["kind"]): void;
}

interface Serving {
  session: ServerHttp2Session;
  carrier: Carrier;
  /** Streams to targets that are open. */
  streams: number;
  /** The control plane has let it in: it asks for events, or dials. */
  admitted: boolean;
  /** Made with a certificate that has been renewed since: it ends with its last stream, once another serves. */
  outdated: boolean;
}

/** How a connection's time as the slot's present one is over. */
type Outcome = Goaway | "renewed" | undefined;

const REFUSED: ReadonlySet<string> = new Set([
  "unauthenticated",
  "not_allowed",
  "runner_taken",
  "bad_request",
  "relay_loop",
]);

/** GOAWAY(NO_ERROR) without a reason that we know: no new streams come on this session (docs/protocol.md §7). */
const UNEXPLAINED: Goaway = { reason: "draining", message: "the control plane gave no reason" };

export class ConnectionSlot {
  readonly #index: number;
  readonly #context: SlotContext;
  readonly #chooser: CarrierChooser;
  readonly #closing = new AbortController();
  readonly #serving = new Set<Serving>();
  readonly #backoff: Backoff;
  readonly #refusedBackoff = new Backoff({ baseMs: REFUSED_BACKOFF_BASE_MS, capMs: REFUSED_BACKOFF_CAP_MS });
  /** When a connection ended last, in Unix milliseconds. */
  #lostAt = 0;
  #lastComplaint = "";
  #complainedAt = 0;
  #present: { certificate: string | undefined; renew(): void } | undefined;
  #skipPause: (() => void) | undefined;

  constructor(index: number, context: SlotContext) {
    this.#index = index;
    this.#context = context;
    this.#chooser = new CarrierChooser(context.config.carrier, context.config.attemptTimeoutMs);
    this.#backoff = new Backoff({
      baseMs: context.config.backoffBaseMs ?? BACKOFF_BASE_MS,
      capMs: Math.max(context.config.backoffCapMs ?? BACKOFF_CAP_MS, BACKOFF_CAP_FLOOR_MS),
    });
  }

  async run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const delayMs = await this.#once().catch((error: unknown) => this.#failed(toError(error)));
      await this.#pause(delayMs);
    }
  }

  /**
   * The client certificate in its file is this one now. A connection that was made with another serves on until the
   * next one does, and until its last stream has ended.
   */
  renewed(fingerprint: string): void {
    this.#skipPause?.();
    if (this.#present?.certificate !== undefined && this.#present.certificate !== fingerprint)
      this.#present.renew();
  }

  /** Tells the control plane to stop opening streams, and lets the open ones finish. */
  drain(): void {
    this.#closing.abort(new TurnaboutError("agent_draining", "the agent is shutting down"));
    for (const { session } of this.#serving) {
      sendGoaway(session, { reason: "draining", message: "the agent is shutting down" });
      session.close();
    }
  }

  destroy(): void {
    for (const { session, carrier } of this.#serving) {
      destroySession(
        session,
        carrier.stream,
        new TurnaboutError("agent_draining", "the drain deadline has passed"),
      );
    }
  }

  get idle(): boolean {
    return this.#serving.size === 0;
  }

  /** One connection's life. Resolves to the pause before the next. */
  async #once(): Promise<number> {
    const { config } = this.#context;
    const ended = Promise.withResolvers<Outcome>();
    const known = Promise.withResolvers<void>();
    let hello = false;
    let serving: Serving | undefined;
    const { carrier, why } = await this.#establish((session, carrier) => {
      // From the first turn on: a refusal may come right behind the preface.
      session.on("goaway", (code, _last, data) => {
        const goaway = parseGoaway(data) ?? (code === constants.NGHTTP2_NO_ERROR ? UNEXPLAINED : undefined);
        if (goaway !== undefined) ended.resolve(goaway);
      });
      session.once("close", () => ended.resolve(undefined));
      serving = this.#follow(session, carrier);
      this.#context.serve(session, carrier, () => {
        if (!hello) known.resolve();
        hello = true;
      });
    });
    if (serving === undefined) return 0; // never: a session is established by way of the above
    this.#admit(serving);
    const since = Date.now();
    // Who asks for /hello knows who we are; a refusal comes before.
    void known.promise.then(() => {
      this.#lastComplaint = "";
      const url = redactUrl(config.server);
      config.log.info({ slot: this.#index, carrier: carrier.kind, server: url, why }, "connected");
      config.onEvent({ type: "connected", slot: this.#index, carrier: carrier.kind, why });
    });
    this.#present = { certificate: ownCertificate(carrier), renew: () => ended.resolve("renewed") };
    const outcome = await ended.promise;
    this.#present = undefined;
    const aliveMs = Date.now() - since;
    if (hello && aliveMs >= STABLE_AFTER_MS) {
      this.#backoff.reset();
      this.#refusedBackoff.reset();
    }
    if (this.#closing.signal.aborted) return 0;
    if (outcome !== "renewed") return this.#ended(outcome, aliveMs);
    serving.outdated = true;
    config.log.info({ slot: this.#index }, "connecting with the renewed certificate; open streams go on");
    return 0;
  }

  /** Counts what it serves. */
  #follow(session: ServerHttp2Session, carrier: Carrier): Serving {
    const serving: Serving = { session, carrier, streams: 0, admitted: false, outdated: false };
    session.on("stream", (stream, headers) => {
      const isDial = headers[":method"] === "CONNECT";
      if (isDial || headers[":path"] === AGENT_PATHS.events) {
        serving.admitted = true;
        this.#retire();
      }
      if (!isDial) return;
      serving.streams += 1;
      stream.once("close", () => {
        serving.streams -= 1;
        this.#retire();
      });
    });
    return serving;
  }

  /** Ends outdated connections that carry nothing, once another one has been let in. */
  #retire(): void {
    const all = [...this.#serving];
    if (!all.some(({ admitted, outdated, session }) => admitted && !outdated && !session.closed)) return;
    for (const { outdated, streams, session } of all) {
      if (!outdated || streams > 0 || session.closed) continue;
      sendGoaway(session, {
        reason: "draining",
        message: "the agent has connected with its renewed certificate",
      });
      session.close();
    }
  }

  async #establish(accept: (session: ServerHttp2Session, carrier: Carrier) => void): Promise<Established> {
    const { config } = this.#context;
    const token = config.token === undefined ? undefined : await readSecret(config.token, "token");
    return this.#chooser.establish(
      {
        url: doorUrl(config.server, this.#context.doorRunnerIds()),
        zone: zoneOf(config.server),
        socketPath: socketPathOf(config.server),
        tls: config,
        token,
        headers: {
          [HEADER.version]: VERSION,
          [HEADER.instance]: config.instance,
          ...(this.#context.standby && { [HEADER.standby]: "1" }),
        },
      },
      accept,
      this.#closing.signal,
    );
  }

  #admit(serving: Serving): void {
    const { session, carrier } = serving;
    this.#serving.add(serving);
    this.#context.established(carrier.kind);
    this.#context.connectionsChanged(1);
    session.once("close", () => {
      this.#serving.delete(serving);
      this.#context.connectionsChanged(-1);
      carrier.stream.destroy();
    });
    keepAlive(
      session,
      receivedBytes(carrier.stream),
      (death) => {
        destroySession(session, carrier.stream, new TurnaboutError("tunnel_timeout", describeDeath(death)));
      },
      this.#context.config,
    );
    session.once("goaway", () => {
      const timer = setTimeout(() => {
        const reason = "the control plane drains this connection, and its deadline has passed";
        destroySession(session, carrier.stream, new TurnaboutError("control_plane_draining", reason));
      }, this.#context.config.drainMs);
      session.once("close", () => clearTimeout(timer));
    });
    this.#retire();
    // Closed while it was being established: the loop will not look at it again.
    if (this.#closing.signal.aborted) session.close();
    if (this.#serving.size > MAX_DRAINING_SESSIONS) {
      const [oldest] = this.#serving;
      if (oldest !== undefined) {
        destroySession(oldest.session, oldest.carrier.stream, new Error("too many draining sessions"));
      }
    }
  }

  #ended(goaway: Goaway | undefined, aliveMs: number): number {
    const { config } = this.#context;
    const reason = goaway === undefined ? "the connection was lost" : `${goaway.reason}: ${goaway.message}`;
    config.onEvent({ type: "lost", slot: this.#index, reason });
    switch (goaway?.reason) {
      case "replaced": {
        this.#context.standby = true;
        config.onEvent({ type: "replaced", slot: this.#index });
        // At once, or nearly: the control plane keeps a stand-by's connection, so that it can take over without delay.
        const delayMs = Math.round(Math.random() * Math.min(STANDBY_CONNECT_MS, this.#standbyDelayMs()));
        config.log.warn({ slot: this.#index, reason, delayMs }, "replaced by a newer agent; standing by");
        return delayMs;
      }
      case "refused":
        return this.#failed(new TurnaboutError(refusalCode(goaway.message), reason));
      case "kicked": {
        const delayMs = this.#refusedBackoff.next();
        config.log.warn({ slot: this.#index, reason, delayMs }, "kicked; connecting again");
        return delayMs;
      }
      case "draining":
      case undefined: {
        const delayMs = this.#reconnectDelayMs(goaway?.reconnectSpreadMs);
        config.log.warn(
          { slot: this.#index, reason, aliveMs, delayMs },
          goaway === undefined
            ? "connection ended; connecting again"
            : "the control plane drains this connection; connecting again",
        );
        return delayMs;
      }
    }
  }

  #pause(delayMs: number): Promise<void> {
    const { signal } = this.#closing;
    const { promise, resolve } = Promise.withResolvers<void>();
    if (signal.aborted) return Promise.resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      this.#skipPause = undefined;
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal.addEventListener("abort", done, { once: true });
    this.#skipPause = done;
    return promise;
  }

  /**
   * A connection has ended. Where the control plane has said goodbye it knows how many come back: with few of them that
   * is at once. Otherwise it may be starting anew, or flapping.
   *
   * @param cleanSpreadMs what it said in its goodbye
   */
  #reconnectDelayMs(cleanSpreadMs: number | undefined): number {
    this.#lostAt = Date.now();
    const isFirst = this.#backoff.failures === 0;
    const delayMs = this.#retryDelayMs();
    if (!isFirst || cleanSpreadMs === undefined) return delayMs;
    return Math.floor(Math.random() * cleanSpreadMs);
  }

  /**
   * Soon after a loss the control plane is most likely being restarted: then an attempt that was refused must not put the
   * next one off for longer than all agents together are to take.
   */
  #retryDelayMs(): number {
    const { config, reconnectSpreadMs } = this.#context;
    if (reconnectSpreadMs === undefined || Date.now() - this.#lostAt > RESTART_MS)
      return this.#backoff.next();
    const capMs = Math.min(config.backoffCapMs ?? BACKOFF_CAP_MS, RESTART_BACKOFF_CAP_MS);
    return this.#backoff.next(Math.max(capMs, BACKOFF_CAP_FLOOR_MS, reconnectSpreadMs), reconnectSpreadMs);
  }

  #standbyDelayMs(): number {
    const span = this.#context.config.standbyDelayMs ?? STANDBY_DELAY_MS;
    return Math.round(span / 2 + (Math.random() * span) / 2);
  }

  #failed(error: Error): number {
    if (this.#closing.signal.aborted) return 0;
    const { config } = this.#context;
    const refused = error instanceof TurnaboutError && REFUSED.has(error.code);
    // A control plane that has no room for it is no failure: it asks again within every grace, however long it waits.
    const waits = this.#context.standby && error instanceof TurnaboutError && error.code === "runner_taken";
    const delayMs = waits
      ? this.#standbyDelayMs()
      : Math.max(refused ? this.#refusedBackoff.next() : this.#retryDelayMs(), askedToWaitMs(error));
    this.#context.connectFailed(error);
    const fields = {
      slot: this.#index,
      server: redactUrl(config.server),
      reason: error.message,
      delayMs,
      hint: error instanceof TurnaboutError ? error.hint : undefined,
    };
    const isFile = error instanceof TurnaboutError && error.code === "config_invalid";
    const isOld = isFile && Date.now() - this.#complainedAt >= FILE_COMPLAINT_MS;
    const isNew = error.message !== this.#lastComplaint || isOld;
    if (isNew) this.#complainedAt = Date.now();
    // Once at full voice: an agent may try for weeks.
    if (!isNew) config.log.debug(fields, "connect failed; trying again");
    else if (isFile) config.log.error(fields, "the configuration cannot be used; trying again");
    else
      config.log.warn(fields, refused ? "refused; trying again more slowly" : "connect failed; trying again");
    this.#lastComplaint = error.message;
    config.onEvent({ type: "attempt-failed", slot: this.#index, error, retryInMs: delayMs });
    return delayMs;
  }
}

/** The control plane's word begins with its code: `runner_taken: The runner is held by another agent.` */
function refusalCode(message: string): ErrorCode {
  const [code = ""] = message.split(":", 1);
  return isErrorCode(code) ? code : "not_allowed";
}

/** A full relay says when it makes sense to ask again; all that it refuses together must not come back together. */
function askedToWaitMs(error: Error): number {
  if (!(error instanceof TurnaboutError) || error.code !== "relay_full") return 0;
  const waitMs = Math.min((error.retryAfterS ?? 0) * 1_000, REFUSED_BACKOFF_CAP_MS);
  return Math.round(waitMs * (1 + Math.random()));
}

/** SHA-256 of the certificate that this end has presented on a carrier where it counts. */
function ownCertificate({ kind, stream }: Carrier): string | undefined {
  return kind === "rh2" && stream instanceof TLSSocket
    ? stream.getX509Certificate()?.fingerprint256
    : undefined;
}
