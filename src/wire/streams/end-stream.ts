/**
 * The one place through which HTTP/2 streams are closed, reset and destroyed.
 *
 * node:http2 loops endlessly, and allocates half a gigabyte a second, when a stream is destroyed while it is `closed` and its
 * RST_STREAM has not been passed to nghttp2: node drops the stream, nghttp2 does not, and keeps asking node for the stream's
 * queued bytes. A stream is in that state
 * - while `close(code)` emits 'aborted', which it does before it submits RST_STREAM;
 * - from `close(NO_ERROR)` after `end()` until 'finish';
 * - from `close()` of a stream that has no id yet until 'ready'.
 *
 * Other code closes and destroys streams too: node when a carrier or a session ends, and whatever a stream is passed to
 * (Hono, the compatibility layer, pipelines, AbortSignals). So the guard sits on the stream itself: its `close()` and
 * `destroy()` are replaced as soon as it exists, and no caller can bring it into that state.
 */
import { constants } from "node:http2";
import type { ClientHttp2Session, Http2Session, Http2Stream, ServerHttp2Stream } from "node:http2";
import { STREAM_SENT_POLL_MS } from "../limits.ts";
import { carrierOf, dropUnreadBytes, keepNativeSession, nativeOf } from "./native-session.ts";

const { NGHTTP2_NO_ERROR, NGHTTP2_SESSION_SERVER } = constants;

const GUARDED = new WeakSet<Http2Stream>();

/** State of a guarded HTTP/2 session. */
interface SessionGuard {
  /** Streams that are inside `close()` or `destroy()`. */
  ending: number;
  /** The session will be destroyed: in the next turn, or at the 'close' of its carrier. */
  endsLate: boolean;
  /** The session's native object, from 'connect' on. */
  native: object | undefined;
}

const SESSIONS = new WeakMap<Http2Session, SessionGuard>();

/**
 * Guards every stream of an HTTP/2 session. Call it in the turn in which the session was created: on a server, in a
 * 'session' listener; elsewhere, after `http2.connect()` or `performServerHandshake()`. Idempotent.
 *
 * `destroy()` of the session inside that of one of its streams (that is, in an 'aborted' listener) takes effect one turn
 * later: a lost carrier closes the streams one by one, and destroying the session meanwhile crashes node if the carrier is
 * not a net.Socket.
 *
 * The native object of the session outlives those of its streams (native-session.ts). That takes writes that come to an end:
 * `destroy()` of a session whose carrier has been destroyed takes effect at the carrier's 'close', when they have.
 */
export function guardHttp2Session(http2Session: Http2Session): void {
  if (SESSIONS.has(http2Session) || http2Session.destroyed) return;
  const guard: SessionGuard = { ending: 0, endsLate: false, native: nativeOf(http2Session) };
  SESSIONS.set(http2Session, guard);
  const carrier = http2Session.socket;
  const source = carrierOf(http2Session);
  let isCarrierClosed = carrier.destroyed;
  let endAtClose: (() => void) | undefined;
  const destroyNow = http2Session.destroy.bind(http2Session);
  const release = (): void => {
    keepNativeSession(guard.native);
    // node keeps the session while a SETTINGS frame is not acknowledged, which is never if the peer does not want to.
    guard.native = undefined;
  };
  const destroy = (...args: Parameters<Http2Session["destroy"]>): void => {
    if (http2Session.destroyed) return;
    if (carrier.destroyed && !isCarrierClosed) {
      guard.endsLate = true;
      endAtClose = () => destroy(...args);
      return;
    }
    destroyNow(...args);
    dropUnreadBytes(source);
    release();
  };
  const destroyInTurn: typeof http2Session.destroy = (...args) => {
    if (guard.endsLate) return;
    guard.endsLate = guard.ending > 0;
    if (guard.endsLate) setImmediate(destroy, ...args);
    else destroy(...args);
  };
  http2Session.destroy = destroyInTurn;
  carrier.prependOnceListener("close", () => {
    isCarrierClosed = true;
    endAtClose?.();
  });
  http2Session.prependOnceListener("connect", () => (guard.native ??= nativeOf(http2Session)));
  http2Session.prependOnceListener("close", release); // node itself ends a session at its carrier's 'close', without `destroy()`
  http2Session.prependListener("stream", guardStream);
  if (http2Session.type === NGHTTP2_SESSION_SERVER) return;
  const client = http2Session as ClientHttp2Session;
  const request = client.request.bind(client);
  const guardedRequest: typeof request = (...args) => {
    const stream = request(...args);
    guardStream(stream);
    return stream;
  };
  client.request = guardedRequest;
}

/**
 * Replaces `close()` and `destroy()` of one stream. Idempotent; streams of a guarded session are guarded already.
 *
 * - `destroy()` inside `close()` (that is, in an 'aborted' listener) takes effect when `close()` returns.
 * - `destroy()` without an error gets one if the message is incomplete: the peer sees
 *   RST_STREAM(INTERNAL_ERROR), never a code that could be taken for a clean end.
 * - `close(NO_ERROR)` waits until the whole message has been sent, including END_STREAM (RFC 9113 §8.1); until then the
 *   stream is not `closed`, and may still be reset.
 * - 'error' always has a listener.
 */
export function guardStream(stream: Http2Stream): void {
  if (GUARDED.has(stream)) return;
  GUARDED.add(stream);
  if (stream.session !== undefined) guardHttp2Session(stream.session);
  const guard = stream.session === undefined ? undefined : SESSIONS.get(stream.session);
  const close = stream.close.bind(stream);
  const destroyNow = stream.destroy.bind(stream);
  let isClosing = false;
  let late: { error: Error | undefined } | undefined;

  const destroy = (error: Error | undefined): void => {
    const native = nativeOf(stream);
    destroyNow(error);
    keepNativeSession(guard?.native, native);
  };
  const closeNow = (code: number): void => {
    if (stream.closed || stream.destroyed) return;
    holdSession(guard, () => {
      isClosing = true;
      try {
        close(code);
      } finally {
        isClosing = false;
        if (late !== undefined) destroy(late.error);
      }
    });
  };

  stream.on("error", ignore);
  const closeWhenSent: typeof close = (code = NGHTTP2_NO_ERROR, callback) => {
    if (stream.closed || stream.destroyed) return;
    if (callback !== undefined) stream.once("close", callback);
    if (stream.pending) stream.once("ready", () => stream.close(code));
    else if (code !== NGHTTP2_NO_ERROR) closeNow(code);
    else if (!stream.writableEnded && !isServerRole(stream)) stream.destroy();
    else whenSent(stream, () => closeNow(code));
  };
  const destroyGuarded: typeof destroyNow = (error) => {
    const reason = error ?? (isIncomplete(stream) ? new Error("the stream ended prematurely") : undefined);
    if (isClosing) late = { error: late?.error ?? reason };
    else if (!stream.destroyed) holdSession(guard, () => destroy(reason));
    return stream;
  };
  stream.close = closeWhenSent;
  stream.destroy = destroyGuarded;
}

/**
 * Ends a stream at once, in any state, so that its peer sees an error: RST_STREAM(INTERNAL_ERROR). Queued data is dropped,
 * including a response of the same turn. Does nothing if the stream has been destroyed.
 */
export function resetStream(stream: Http2Stream, error: Error): void {
  guardStream(stream);
  if (!stream.destroyed) stream.destroy(error);
}

/**
 * The same with a given error code of RFC 9113 §7, such as CANCEL. Only for a stream whose own half
 * has ended, has not begun, or waits for trailers (`waitForTrailers`): node's `close(code)` of any other sends END_STREAM
 * first.
 */
export function resetStreamWith(stream: Http2Stream, code: number): void {
  guardStream(stream);
  if (stream.destroyed || stream.closed) return;
  stream.close(code);
  stream.resume(); // a stream with unread bytes does not close
}

/**
 * The response is complete, and the rest of the request is not read: RST_STREAM(NO_ERROR) (RFC 9113 §8.1). Call it in the
 * turn of `respond(…, { endStream: true })` or `end()`, or later. The response is always sent first: RST_STREAM follows
 * END_STREAM, however long the peer's window or a full socket delays that. A peer that ends or resets its own half before
 * gets no RST_STREAM. Until it is sent, {@link resetStream} still resets.
 */
export function closeAfterResponse(stream: ServerHttp2Stream): void {
  guardStream(stream);
  stream.close(NGHTTP2_NO_ERROR);
}

/** Destroys a stream whose halves have both ended. If one has not, it is reset, as by {@link resetStream}. */
export function discardStream(stream: Http2Stream): void {
  guardStream(stream);
  if (!stream.destroyed) stream.destroy();
}

/**
 * Ends an HTTP/2 session at once: its streams are reset.
 *
 * @param code of GOAWAY. Default INTERNAL_ERROR
 */
export function endHttp2Session(http2Session: Http2Session, reason: Error, code?: number): void {
  if (!http2Session.destroyed) http2Session.destroy(reason, code);
}

/** Whether it is destroyed, or will be soon ({@link guardHttp2Session}): it can no longer be used. */
export function hasEnded(http2Session: Http2Session): boolean {
  return http2Session.destroyed || SESSIONS.get(http2Session)?.endsLate === true;
}

/**
 * Sets the connection's receive window (RFC 9113 §6.9). Does nothing after the session's end, where node would throw: a
 * frame in the packet of SETTINGS may have ended it.
 */
export function widenConnection(http2Session: Http2Session, windowBytes: number): void {
  if (!hasEnded(http2Session)) http2Session.setLocalWindowSize(windowBytes);
}

function ignore(): void {}

/** Runs `end`, which emits 'aborted'; the stream's session is not destroyed meanwhile. */
function holdSession(guard: SessionGuard | undefined, end: () => void): void {
  if (guard === undefined) return end();
  guard.ending += 1;
  try {
    end();
  } finally {
    guard.ending -= 1;
  }
}

function isServerRole(stream: Http2Stream): boolean {
  return stream.session?.type === NGHTTP2_SESSION_SERVER;
}

/** A server may decline the rest of a request (RFC 9113 §8.1), unless its session ends; everything else must be complete. */
function isIncomplete(stream: Http2Stream): boolean {
  if (stream.closed || stream.destroyed) return false;
  const mayBeCut = isServerRole(stream) && stream.session?.destroyed === false;
  return !stream.writableFinished || (!mayBeCut && !stream.readableEnded);
}

/** Whether nghttp2 has sent END_STREAM. 'finish' is earlier: RST_STREAM would overtake data that is still queued. */
function isSent(stream: Http2Stream): boolean {
  return stream.writableFinished && stream.state.localClose === 1;
}

/** Calls back when END_STREAM has been sent; never, if the stream is closed or destroyed before. */
function whenSent(stream: Http2Stream, then: () => void): void {
  if (isSent(stream)) return then();
  const check = (): void => {
    if (stream.closed || stream.destroyed) waiting.delete(check);
    else if (isSent(stream)) {
      waiting.delete(check);
      then();
    } else checkLater(check);
  };
  if (stream.writableFinished) setImmediate(check);
  else stream.once("finish", () => setImmediate(check));
}

const waiting = new Set<() => void>();
let timer: NodeJS.Timeout | undefined;

/** Polls, because nghttp2 has no event for it. Only streams on a full socket get here; one timer serves all. */
function checkLater(check: () => void): void {
  waiting.add(check);
  if (timer !== undefined) return;
  timer = setInterval(() => {
    for (const each of waiting) each();
    if (waiting.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }, STREAM_SENT_POLL_MS);
  timer.unref();
}
