/**
 * Callers' HTTP/2 connections: an idle one ends, and so does one that floods us with frames, or opens and resets streams
 * faster than a caller has reason to.
 */
import { replaceStreamTables } from "../../wire/session/stream-tables.ts";
import { constants } from "node:http2";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Logger } from "../../wire/log.ts";
import { countersOf, watchFloods } from "../../wire/session/flood-watch.ts";
import type { FloodLimits } from "../../wire/session/flood-watch.ts";
import { endHttp2Session, hasEnded } from "../../wire/streams/end-stream.ts";
import { TokenBucket } from "../../wire/token-bucket.ts";
import {
  CALLER_KEEPALIVE_MS,
  CALLER_STREAM_WINDOW_BYTES,
  CALLER_WINDOW_BYTES,
  REFUSAL_LINGER_MS,
} from "../limits.ts";
import {
  CALLER_FIRST_REQUEST_MS,
  CALLER_LATE_BYTES_PER_S,
  CALLER_OVERHEAD_BURST_BYTES,
  CALLER_OVERHEAD_BYTES_PER_S,
  CALLER_RESETS_BURST,
  CALLER_RESETS_PER_S,
} from "./limits.ts";

const FLOOD_LIMITS: FloodLimits = {
  overheadBytes: { burst: CALLER_OVERHEAD_BURST_BYTES, perS: CALLER_OVERHEAD_BYTES_PER_S },
  lateBytesPerStream: CALLER_STREAM_WINDOW_BYTES,
  maxLateBytes: CALLER_WINDOW_BYTES,
  lateBytesPerS: CALLER_LATE_BYTES_PER_S,
};

export interface Http2CallersParts {
  /** Limits its lines. */
  log: Pick<Logger, "warn">;
  /** Default {@link CALLER_KEEPALIVE_MS}. */
  idleMs?: number | undefined;
  /** Default {@link CALLER_FIRST_REQUEST_MS}. */
  firstRequestMs?: number | undefined;
}

export class Http2Callers {
  readonly #log: Pick<Logger, "warn">;
  readonly #idleMs: number;
  readonly #firstRequestMs: number;

  constructor({ log, idleMs, firstRequestMs }: Http2CallersParts) {
    this.#log = log;
    this.#idleMs = idleMs ?? CALLER_KEEPALIVE_MS;
    this.#firstRequestMs = firstRequestMs ?? CALLER_FIRST_REQUEST_MS;
  }

  /**
   * Follows a connection until it closes. Call it in the server's 'session' listener.
   *
   * @param socket below HTTP/2
   */
  follow(http2Session: ServerHttp2Session, socket: Socket): void {
    replaceStreamTables(http2Session);
    const resets = new TokenBucket({ burst: CALLER_RESETS_BURST, perS: CALLER_RESETS_PER_S });
    let openStreams = 0;
    let idleTimer: NodeJS.Timeout | undefined;

    const becomeIdle = (idleMs: number): void => {
      idleTimer = setTimeout(() => this.#close(http2Session, socket), idleMs);
      idleTimer.unref();
    };
    const calm = (reason: string): void => {
      if (hasEnded(http2Session)) return;
      this.#log.warn({ peer: socket.remoteAddress, reason }, "caller's HTTP/2 connection ended: flood");
      endHttp2Session(http2Session, new Error(reason), constants.NGHTTP2_ENHANCE_YOUR_CALM);
      destroyLater(socket);
    };

    watchFloods(http2Session, countersOf(socket), FLOOD_LIMITS, calm);
    http2Session.on("stream", (stream: ServerHttp2Stream) => {
      clearTimeout(idleTimer);
      openStreams += 1;
      stream.once("close", () => {
        openStreams -= 1;
        // Also a stream that we reset: there are ways to make a server do that.
        if (stream.rstCode !== constants.NGHTTP2_NO_ERROR && !resets.take())
          calm("too many streams were reset");
        if (openStreams === 0 && !http2Session.closed) becomeIdle(this.#idleMs);
      });
    });
    http2Session.once("close", () => clearTimeout(idleTimer));
    becomeIdle(this.#firstRequestMs);
  }

  /** GOAWAY first. A caller that does not close its end keeps the socket only for a moment. */
  #close(http2Session: ServerHttp2Session, socket: Socket): void {
    if (!hasEnded(http2Session)) http2Session.close();
    destroyLater(socket);
  }
}

function destroyLater(socket: Socket): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
}
