/**
 * The one place through which HTTP/2 streams are closed, reset and destroyed.
 *
 * node:http2 loops for ever, and eats half a gigabyte a second, when a stream is destroyed while it is `closed` and its
 * RST_STREAM has not been handed to nghttp2: node forgets the stream, nghttp2 does not, and asks node without end for
 * the stream's queued bytes. A stream is in that state
 * - while `close(code)` emits 'aborted', which it does before it submits RST_STREAM;
 * - from `close(NO_ERROR)` behind an `end()` until 'finish';
 * - from `close()` of a stream that has no id yet until 'ready'.
 *
 * Not only we close and destroy streams: node does when a carrier or a session ends, and so does what a stream is given
 * to (Hono, the compatibility layer, pipelines, AbortSignals). So the guard sits on the stream itself: its `close()` and
 * `destroy()` are replaced where it comes into being, and no caller can bring it into the state.
 */
import { constants } from "node:http2";
import type { ClientHttp2Session, Http2Session, Http2Stream, ServerHttp2Stream } from "node:http2";
import { STREAM_SENT_POLL_MS } from "../limits.ts";

const { NGHTTP2_NO_ERROR, NGHTTP2_SESSION_SERVER } = constants;

const GUARDED = new WeakSet<Http2Stream>();

/** Of a session: how many of its streams are within `close()` or `destroy()`, and what waits for that. */
interface SessionGuard {
  ending: number;
  /** Streams of a client, until one turn after their 'close'. */
  readonly open: Set<Http2Stream>;
  /** It will be destroyed: its streams first, and itself one turn later. */
  endLate: (() => void) | undefined;
  /** For `ending` to be 0 before that. */
  isWaiting: boolean;
}

const SESSIONS = new WeakMap<Http2Session, SessionGuard>();

/**
 * Guards every stream that a session will have. Call it in the turn in which the session was made: on a server, in a
 * 'session' listener; elsewhere, behind `http2.connect()` or `performServerHandshake()`. Idempotent.
 *
 * `destroy()` of the session within that of one of its streams (that is, in an 'aborted' listener) takes effect one
 * turn later: a lost carrier closes the streams one by one, and a session that is destroyed meanwhile crashes node when
 * its carrier is not a socket of node's own.
 *
 * A client's session that has streams is destroyed one turn later, too. node frees a header block that its peer has
 * broken off (a field that is not valid, a missing CONTINUATION) with its stream, in the turn after the stream's end: a
 * session that ends before, as with a GOAWAY behind such a block, counts that memory as lost and aborts the process.
 */
export function guardHttp2Session(http2Session: Http2Session): void {
  if (SESSIONS.has(http2Session)) return;
  const guard: SessionGuard = { ending: 0, open: new Set(), endLate: undefined, isWaiting: false };
  SESSIONS.set(http2Session, guard);
  const destroy = http2Session.destroy.bind(http2Session);
  http2Session.destroy = (error, code) => {
    if (guard.ending === 0 && guard.open.size === 0) return destroy(error, code);
    if (guard.endLate !== undefined) return;
    guard.endLate = () => {
      for (const stream of guard.open)
        stream.destroy(new Error("the connection has ended", { cause: error }));
      setImmediate(() => destroy(error, code));
    };
    if (guard.ending === 0) guard.endLate();
    else guard.isWaiting = true;
  };
  http2Session.prependListener("stream", guardStream);
  if (http2Session.type === NGHTTP2_SESSION_SERVER) return;
  const client = http2Session as ClientHttp2Session;
  const request = client.request.bind(client);
  client.request = (...args) => {
    const stream = request(...args);
    guardStream(stream);
    guard.open.add(stream);
    stream.once("close", () => setImmediate(() => guard.open.delete(stream)));
    return stream;
  };
}

/**
 * Replaces `close()` and `destroy()` of one stream. Idempotent; streams of a guarded session have it already.
 *
 * - `destroy()` within `close()` (that is, in an 'aborted' listener) takes effect when `close()` returns.
 * - `destroy()` without an error, of a stream whose message is not complete, gets one: the peer sees
 *   RST_STREAM(INTERNAL_ERROR), and never a code that can pass for a clean end.
 * - `close(NO_ERROR)` waits until the whole message has left, its END_STREAM included (RFC 9113 §8.1); until then the
 *   stream is not `closed`, and may still be reset.
 * - 'error' has a listener for ever.
 */
export function guardStream(stream: Http2Stream): void {
  if (GUARDED.has(stream)) return;
  GUARDED.add(stream);
  if (stream.session !== undefined) guardHttp2Session(stream.session);
  const close = stream.close.bind(stream);
  const destroy = stream.destroy.bind(stream);
  let isClosing = false;
  let late: { error: Error | undefined } | undefined;

  const closeNow = (code: number): void => {
    if (stream.closed || stream.destroyed) return;
    holdSession(stream, () => {
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
  stream.close = (code = NGHTTP2_NO_ERROR, callback) => {
    if (stream.closed || stream.destroyed) return;
    if (callback !== undefined) stream.once("close", callback);
    if (stream.pending) stream.once("ready", () => stream.close(code));
    else if (code !== NGHTTP2_NO_ERROR) closeNow(code);
    else if (!stream.writableEnded && !isServerRole(stream)) stream.destroy();
    else whenSent(stream, () => closeNow(code));
  };
  stream.destroy = (error) => {
    const reason =
      error ?? (isIncomplete(stream) ? new Error("the stream ended before its time") : undefined);
    if (isClosing) late = { error: late?.error ?? reason };
    else if (!stream.destroyed) holdSession(stream, () => void destroy(reason));
    return stream;
  };
}

/**
 * Ends a stream at once so that its peer sees an error, whatever state it is in: RST_STREAM(INTERNAL_ERROR). What was
 * queued is dropped, also a response of the same turn. Does nothing if the stream has been destroyed.
 */
export function resetStream(stream: Http2Stream, error: Error): void {
  guardStream(stream);
  if (!stream.destroyed) stream.destroy(error);
}

/**
 * The same with an error code of RFC 9113 §7 that is to reach the peer, such as CANCEL. Only for a stream whose own half
 * has ended, has not begun, or waits for trailers (`waitForTrailers`): node's `close(code)` of any other sends END_STREAM
 * first.
 */
export function resetStreamWith(stream: Http2Stream, code: number): void {
  guardStream(stream);
  if (stream.destroyed || stream.closed) return;
  stream.close(code);
  stream.resume(); // nothing more is read of it, and a stream that holds bytes does not close
}

/**
 * "The response is complete, and the rest of the request is not wanted": RST_STREAM(NO_ERROR) (RFC 9113 §8.1). Call it in
 * the turn of `respond(…, { endStream: true })`, of `end()`, or at any time later. Response and body always leave first:
 * RST_STREAM follows when END_STREAM has been sent, however long the peer's window or a full socket holds it. A peer
 * that ends or resets its own half before gets no RST_STREAM. Until it is sent, {@link resetStream} still resets.
 */
export function closeAfterResponse(stream: ServerHttp2Stream): void {
  guardStream(stream);
  stream.close(NGHTTP2_NO_ERROR);
}

/** Lets go of a stream whose two halves have ended. What has not ended is reset, as by {@link resetStream}. */
export function discardStream(stream: Http2Stream): void {
  guardStream(stream);
  if (!stream.destroyed) stream.destroy();
}

/** Ends a session at once; its streams are reset. GOAWAY carries INTERNAL_ERROR. */
export function endHttp2Session(http2Session: Http2Session, reason: Error): void {
  if (!http2Session.destroyed) http2Session.destroy(reason);
}

/** It is destroyed, or will be one turn later ({@link guardHttp2Session}): nothing more can be done with it. */
export function hasEnded(http2Session: Http2Session): boolean {
  return http2Session.destroyed || SESSIONS.get(http2Session)?.endLate !== undefined;
}

/**
 * The connection's receive window (RFC 9113 §6.9). Does nothing with a session that has ended: what followed SETTINGS in
 * the same packet may have ended it, and node throws then.
 */
export function widenConnection(http2Session: Http2Session, windowBytes: number): void {
  if (!hasEnded(http2Session)) http2Session.setLocalWindowSize(windowBytes);
}

function ignore(): void {}

/** While `end` runs, which emits 'aborted', the stream's session is not destroyed. */
function holdSession(stream: Http2Stream, end: () => void): void {
  const guard = stream.session === undefined ? undefined : SESSIONS.get(stream.session);
  if (guard === undefined) return end();
  guard.ending += 1;
  try {
    end();
  } finally {
    guard.ending -= 1;
    if (guard.ending === 0 && guard.isWaiting) {
      guard.isWaiting = false;
      setImmediate(() => guard.endLate?.());
    }
  }
}

function isServerRole(stream: Http2Stream): boolean {
  return stream.session?.type === NGHTTP2_SESSION_SERVER;
}

/** An answered request may be cut short (RFC 9113 §8.1), but not by the end of its session; anything else has to be whole. */
function isIncomplete(stream: Http2Stream): boolean {
  if (stream.closed || stream.destroyed) return false;
  const mayBeCut = isServerRole(stream) && stream.session?.destroyed === false;
  return !stream.writableFinished || (!mayBeCut && !stream.readableEnded);
}

/** nghttp2 has packed END_STREAM. 'finish' comes earlier, and RST_STREAM would overtake what still waits. */
function isSent(stream: Http2Stream): boolean {
  return stream.writableFinished && stream.state.localClose === 1;
}

/** Calls back once END_STREAM has left; never if the stream is closed or destroyed before. */
function whenSent(stream: Http2Stream, then: () => void): void {
  if (isSent(stream)) return then();
  const look = (): void => {
    if (stream.closed || stream.destroyed) waiting.delete(look);
    else if (isSent(stream)) {
      waiting.delete(look);
      then();
    } else lookAgain(look);
  };
  if (stream.writableFinished) setImmediate(look);
  else stream.once("finish", () => setImmediate(look));
}

const waiting = new Set<() => void>();
let timer: NodeJS.Timeout | undefined;

/** nghttp2 has no event for it. Only a socket that takes nothing more comes here; one timer serves all. */
function lookAgain(look: () => void): void {
  waiting.add(look);
  if (timer !== undefined) return;
  timer = setInterval(() => {
    for (const each of waiting) each();
    if (waiting.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }, STREAM_SENT_POLL_MS);
  timer.unref();
}
