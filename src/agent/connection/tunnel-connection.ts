/** One tunnel connection of a slot, from the control plane's HTTP/2 preface to its close. */
import { constants } from "node:http2";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { TLSSocket } from "node:tls";
import { TurnaboutError } from "../../wire/errors.ts";
import { AGENT_PATHS } from "../../wire/protocol.ts";
import { receivedBytes } from "../../wire/session/carrier.ts";
import type { Carrier } from "../../wire/session/carrier.ts";
import { parseGoaway, sendGoaway } from "../../wire/session/goaway.ts";
import type { Goaway } from "../../wire/session/goaway.ts";
import { describeDeath, keepAlive } from "../../wire/session/keepalive.ts";
import type { WatchOptions as LivenessOptions } from "../../wire/session/keepalive.ts";
import { destroyHttp2Session } from "../../wire/session/reversed-session.ts";
import { REGISTRATION_MS } from "../limits.ts";

/** Why a connection stops being the one that its slot serves. */
export type ConnectionEnd =
  /** The control plane's GOAWAY. Streams that are open may finish. */
  | Goaway
  /** It has closed without a GOAWAY. */
  | { reason: "lost" }
  /** The client certificate that it was made with has been renewed. Its streams may finish. */
  | { reason: "certificate-renewed" }
  /** Another process of the control plane listens at the same address. This connection serves until the control plane ends it. */
  | { reason: "restarting"; reconnectSpreadMs: number };

/** GOAWAY(NO_ERROR) without a reason that we know: no new streams come on this connection (docs/protocol.md §7). */
const UNEXPLAINED: Goaway = { reason: "draining", message: "the control plane gave no reason" };

export interface WatchOptions extends LivenessOptions {
  /** From the control plane's GOAWAY to the end of the last stream, milliseconds. */
  drainMs: number;
}

export class TunnelConnection {
  readonly http2Session: ServerHttp2Session;
  readonly carrier: Carrier;
  /** To targets, that are open. */
  readonly streams: Set<ServerHttp2Stream> = new Set();
  /** Resolves with the first of the reasons. */
  readonly ended: Promise<ConnectionEnd>;
  readonly closed: Promise<void>;
  /**
   * Resolves when the control plane has registered the agent: it requests `/events` then, or opens a stream to a target. One that
   * does neither, and does not refuse the agent, is taken to have registered it {@link REGISTRATION_MS} after `/hello`.
   */
  readonly registered: Promise<void>;
  #isIdentified = false;
  #isAdmitted = false;
  #isOutdated = false;
  readonly #end: (end: ConnectionEnd) => void;
  readonly #register: () => void;
  #registrationTimer: NodeJS.Timeout | undefined;

  /**
   * Call it in the turn in which the session was made: a refusal may come right behind the preface.
   *
   * @param onActivity called when the control plane has admitted the agent, and when a stream to a target has closed
   */
  constructor(http2Session: ServerHttp2Session, carrier: Carrier, onActivity: () => void) {
    this.http2Session = http2Session;
    this.carrier = carrier;
    const ended = Promise.withResolvers<ConnectionEnd>();
    const closed = Promise.withResolvers<void>();
    const registered = Promise.withResolvers<void>();
    this.ended = ended.promise;
    this.closed = closed.promise;
    this.registered = registered.promise;
    this.#end = ended.resolve;
    const register = (): void => {
      clearTimeout(this.#registrationTimer);
      registered.resolve();
    };
    this.#register = register;
    http2Session.on("goaway", (code, _last, data) => {
      const goaway = parseGoaway(data) ?? (code === constants.NGHTTP2_NO_ERROR ? UNEXPLAINED : undefined);
      if (goaway !== undefined) ended.resolve(goaway);
    });
    http2Session.once("close", () => {
      clearTimeout(this.#registrationTimer);
      ended.resolve({ reason: "lost" });
      closed.resolve();
    });
    http2Session.on("stream", (stream, headers) => {
      const isDial = headers[":method"] === "CONNECT";
      if (isDial || headers[":path"] === AGENT_PATHS.events) {
        this.#isAdmitted = true;
        this.#register();
        onActivity();
      }
      if (!isDial) return;
      this.streams.add(stream);
      stream.once("close", () => {
        this.streams.delete(stream);
        onActivity();
      });
    });
  }

  /** The control plane has requested `/hello`. */
  get isIdentified(): boolean {
    return this.#isIdentified;
  }

  /** The control plane uses it: it has requested `/events`, or a stream to a target. */
  get isInUse(): boolean {
    return this.#isAdmitted && !this.#isOutdated && !this.http2Session.closed;
  }

  /** Made with a certificate that has been renewed since, and without streams to targets. */
  get isOutdatedAndIdle(): boolean {
    return this.#isOutdated && this.streams.size === 0 && !this.http2Session.closed;
  }

  /** SHA-256 fingerprint of the client certificate that this end presented; undefined where none counts. */
  get certificate(): string | undefined {
    const { kind, stream } = this.carrier;
    return kind === "rh2" && stream instanceof TLSSocket
      ? stream.getX509Certificate()?.fingerprint256
      : undefined;
  }

  helloServed(): void {
    this.#isIdentified = true;
    if (this.#isAdmitted || this.http2Session.closed) return;
    clearTimeout(this.#registrationTimer);
    this.#registrationTimer = setTimeout(this.#register, REGISTRATION_MS).unref();
  }

  /** It serves on until another connection is in use and its own last stream has closed. */
  certificateRenewed(): void {
    this.#end({ reason: "certificate-renewed" });
  }

  restarting(reconnectSpreadMs = 0): void {
    this.#end({ reason: "restarting", reconnectSpreadMs });
  }

  markOutdated(): void {
    this.#isOutdated = true;
  }

  /** Ends it when the peer is dead, and when a drain by the control plane takes too long. */
  watch({ drainMs, ...keepalive }: WatchOptions): void {
    const { http2Session, carrier } = this;
    keepAlive(
      http2Session,
      receivedBytes(carrier.stream),
      (death) => this.destroy(new TurnaboutError("tunnel_timeout", describeDeath(death))),
      keepalive,
    );
    http2Session.once("goaway", () => {
      const timer = setTimeout(() => {
        const reason = "the control plane is draining this connection, and its deadline has passed";
        this.destroy(new TurnaboutError("control_plane_draining", reason));
      }, drainMs);
      http2Session.once("close", () => clearTimeout(timer));
    });
  }

  /** Asks the control plane to open no more streams, and closes when the open ones have finished. */
  drain(message: string): void {
    sendGoaway(this.http2Session, { reason: "draining", message });
    this.http2Session.close();
  }

  /** Ends it at once; its streams fail. */
  destroy(reason: Error): void {
    destroyHttp2Session(this.http2Session, this.carrier.stream, reason);
  }
}
