/** One HTTP/2 connection to a target, inside a CONNECT stream: its streams, and why one of them failed. */
import { replaceStreamTables } from "../../wire/session/stream-tables.ts";
import http2 from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, ClientSessionRequestOptions } from "node:http2";
import {
  endHttp2Session,
  guardHttp2Session,
  hasEnded,
  widenConnection,
} from "../../wire/streams/end-stream.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { CARRIER_DESTROY_DELAY_MS, MAX_HEADER_PAIRS, HTTP2_SESSION_MEMORY_MB } from "../../wire/limits.ts";
import { countersOf, watchFloods } from "../../wire/session/flood-watch.ts";
import type { FloodLimits } from "../../wire/session/flood-watch.ts";
import { isRefusedStream, StreamError } from "../../wire/streams/stream-error.ts";
import {
  HTTP2_TARGET_FRAME_BYTES,
  HTTP2_TARGET_IDLE_MS,
  HTTP2_TARGET_MAX_STREAMS,
  HTTP2_TARGET_OVERHEAD_BURST_BYTES,
  HTTP2_TARGET_OVERHEAD_BYTES_PER_S,
  HTTP2_TARGET_SETTINGS_TIMEOUT_MS,
  HTTP2_TARGET_STREAM_WINDOW_BYTES,
  HTTP2_TARGET_WINDOW_BYTES,
} from "./limits.ts";
import { MAX_RESPONSE_HEADER_BYTES } from "../limits.ts";
import type { TargetSocket } from "../tunnels/tunnel.ts";

const { NGHTTP2_NO_ERROR } = http2.constants;

/** RFC 9113 §7: what a reset of a target's stream means to its caller; all others are `target_closed`. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  1: "target_protocol", // PROTOCOL_ERROR, also where nghttp2 has found that the response is not valid
  3: "target_protocol", // FLOW_CONTROL_ERROR
  5: "target_protocol", // STREAM_CLOSED
  6: "target_protocol", // FRAME_SIZE_ERROR
  7: "overloaded", // REFUSED_STREAM
  9: "target_protocol", // COMPRESSION_ERROR
  11: "overloaded", // ENHANCE_YOUR_CALM
  13: "target_protocol", // HTTP_1_1_REQUIRED
};

const FLOOD_LIMITS: FloodLimits = {
  overheadBytes: { burst: HTTP2_TARGET_OVERHEAD_BURST_BYTES, perS: HTTP2_TARGET_OVERHEAD_BYTES_PER_S },
  lateBytesPerStream: HTTP2_TARGET_STREAM_WINDOW_BYTES,
  maxLateBytes: HTTP2_TARGET_WINDOW_BYTES,
};

export interface Http2ConnectionParts {
  socket: TargetSocket;
  /** `<runner> <target>`, for error messages. */
  label: string;
  /** There may be room for another request, or there will be no more. */
  onChange: () => void;
}

export class Http2Connection {
  readonly #session: ClientHttp2Session;
  readonly #socket: TargetSocket;
  readonly #label: string;
  readonly #onChange: () => void;
  #failure: Error | undefined;
  #isReady = false;
  #isEnded = false;
  #openStreams = 0;
  /** Of the open streams, those that were reset and may still count at the target. */
  #resets = 0;
  #isConfirming = false;
  #requests = 0;
  /** From GOAWAY: streams above it have not been processed (RFC 9113 §6.8). */
  #lastStreamId = Infinity;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor({ socket, label, onChange }: Http2ConnectionParts) {
    this.#socket = socket;
    this.#label = label;
    this.#onChange = onChange;
    // Before Node's own listeners: the reason has to be known when the streams close.
    socket.on("error", (error) => this.#end(error));
    socket.once("end", () => this.#end());
    socket.once("close", () => this.#end());
    this.#session = http2.connect("http://target", {
      createConnection: () => socket,
      maxSessionMemory: HTTP2_SESSION_MEMORY_MB,
      maxHeaderListPairs: MAX_HEADER_PAIRS,
      settings: {
        enablePush: false,
        initialWindowSize: HTTP2_TARGET_STREAM_WINDOW_BYTES,
        maxFrameSize: HTTP2_TARGET_FRAME_BYTES,
        maxHeaderListSize: MAX_RESPONSE_HEADER_BYTES,
      },
    });
    guardHttp2Session(this.#session);
    replaceStreamTables(this.#session);
    watchFloods(this.#session, countersOf(socket), FLOOD_LIMITS, (reason) => {
      const message = `target ${label}: it floods its HTTP/2 connection: ${reason}`;
      this.destroy(new TurnaboutError("target_protocol", message));
    });
    this.#follow();
  }

  #follow(): void {
    const session = this.#session;
    const socket = this.#socket;
    const timer = setTimeout(() => {
      const isSilent = socket.bytesRead === 0;
      const what = isSilent ? "was reached and is silent: not a byte" : "no HTTP/2 SETTINGS";
      const message = `target ${this.#label}: ${what} within ${HTTP2_TARGET_SETTINGS_TIMEOUT_MS} ms`;
      this.destroy(new TurnaboutError(isSilent ? "response_timeout" : "target_protocol", message));
    }, HTTP2_TARGET_SETTINGS_TIMEOUT_MS);
    session.on("error", (error) => this.#end(error)); // permanent: an 'error' without a listener ends the process
    session.once("remoteSettings", () => {
      clearTimeout(timer);
      this.#isReady = true;
      widenConnection(session, HTTP2_TARGET_WINDOW_BYTES);
    });
    session.on("remoteSettings", () => this.#changed());
    session.on("goaway", (code, lastStreamId) => {
      this.#lastStreamId = Math.min(this.#lastStreamId, lastStreamId);
      if (code !== NGHTTP2_NO_ERROR) this.#end(new Error(`GOAWAY with code ${code}`));
      this.#changed();
    });
    session.once("close", () => {
      clearTimeout(timer);
      clearTimeout(this.#idleTimer);
      this.#end();
      // A target may keep its end open; the pause lets GOAWAY leave first.
      if (!socket.destroyed) {
        const lingering = setTimeout(() => socket.destroy(), CARRIER_DESTROY_DELAY_MS);
        socket.once("close", () => clearTimeout(lingering));
      }
      this.#onChange();
    });
  }

  #end(cause?: Error): void {
    this.#isEnded = true;
    this.#failure ??= cause;
  }

  /** New requests may be sent, now or when SETTINGS have come. */
  get isUsable(): boolean {
    return (
      !this.#isEnded && !this.#session.closed && !hasEnded(this.#session) && this.#lastStreamId === Infinity
    );
  }

  get isClosed(): boolean {
    return this.#session.destroyed;
  }

  get isIdle(): boolean {
    return this.#openStreams === this.#resets;
  }

  /** A request has been sent on it. */
  get wasUsed(): boolean {
    return this.#requests > 0;
  }

  /** Another request may be sent now. If not, `onChange` follows when one may. */
  hasRoom(): boolean {
    if (!this.#isReady || !this.isUsable) return false;
    if (this.freeStreams > 0) return true;
    this.#confirmResets();
    return false;
  }

  /** Streams that the target allows besides the open ones. */
  get freeStreams(): number {
    const { maxConcurrentStreams = Infinity } = this.#session.remoteSettings;
    return Math.min(maxConcurrentStreams, HTTP2_TARGET_MAX_STREAMS) - this.#openStreams;
  }

  /**
   * A stream that was reset counts at the target until it has handled RST_STREAM, and Node's servers respond to one stream
   * too many with ENHANCE_YOUR_CALM. The ACK of a later PING confirms it. Only where a request waits for a stream: gRPC
   * servers treat many PINGs as abuse.
   */
  #confirmResets(): void {
    if (this.#isConfirming || this.#resets === 0) return;
    const count = this.#resets;
    this.#isConfirming = true;
    let isConfirmed = false;
    const confirmed = (): void => {
      if (isConfirmed) return;
      isConfirmed = true;
      this.#isConfirming = false;
      this.#resets -= count;
      this.#openStreams -= count;
      this.#changed();
    };
    if (!this.#session.ping(confirmed)) setImmediate(confirmed);
  }

  /** The largest header list that the target accepts. */
  get maxHeaderBytes(): number {
    return this.#session.remoteSettings.maxHeaderListSize ?? Infinity;
  }

  /** @param list names and values alternating, as {@link ClientHttp2Session.request} takes them */
  request(list: readonly string[], options: ClientSessionRequestOptions): ClientHttp2Stream {
    const stream = this.#session.request(list, options);
    clearTimeout(this.#idleTimer);
    this.#openStreams += 1;
    this.#requests += 1;
    stream.on("error", () => {}); // permanent: 'error' can come after 'end'
    stream.once("close", () => {
      if (stream.rstCode === NGHTTP2_NO_ERROR) this.#openStreams -= 1;
      else this.#resets += 1;
      this.#changed();
    });
    return stream;
  }

  #changed(): void {
    clearTimeout(this.#idleTimer);
    if (this.isIdle && this.isUsable && this.#isReady) {
      this.#idleTimer = setTimeout(() => this.close(), HTTP2_TARGET_IDLE_MS);
      this.#idleTimer.unref();
    }
    this.#onChange();
  }

  /** No new requests; those in flight finish. */
  close(): void {
    clearTimeout(this.#idleTimer);
    if (!this.#session.closed) this.#session.close();
  }

  destroy(reason: Error): void {
    this.#end(reason);
    endHttp2Session(this.#session, reason);
    if (!this.#socket.destroyed) this.#socket.destroy(reason);
  }

  /** Why the connection cannot be used. */
  get reason(): TurnaboutError {
    const cause = this.#failure;
    if (cause instanceof TurnaboutError) return cause;
    if (!this.#isReady) {
      return new TurnaboutError("target_protocol", `target ${this.#label}: does not speak HTTP/2`, { cause });
    }
    const message = `target ${this.#label}: its HTTP/2 connection ended`;
    const loss = { reused: this.#requests > 1, unprocessed: false };
    return new StreamError("target_closed", message, loss, { cause });
  }

  /** Why a stream ended before its response was complete. */
  reasonFor(stream: ClientHttp2Stream): TurnaboutError {
    const isUnprocessed = this.#isUnprocessed(stream);
    if (this.#isEnded || hasEnded(this.#session)) {
      const lost = this.reason;
      if (!isUnprocessed) return lost;
      return new StreamError(lost.code, lost.message, { reused: false, unprocessed: true }, { cause: lost });
    }
    const { rstCode, errored } = stream;
    return new StreamError(
      CODES[rstCode] ?? "target_closed",
      `target ${this.#label}: the stream was reset with code ${rstCode}`,
      { reused: false, unprocessed: isUnprocessed, resetCode: rstCode },
      { cause: errored ?? undefined },
    );
  }

  #isUnprocessed(stream: ClientHttp2Stream): boolean {
    const { id = Infinity } = stream;
    return isRefusedStream(stream) || id > this.#lastStreamId;
  }
}
