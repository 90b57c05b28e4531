/**
 * Joins two byte streams, each an Http2Stream or a socket, into one blind tunnel (RFC 9110 §3.7). FIN stays FIN, so
 * half-close works both ways; a reset or a loss on one side is a reset on the other, never a clean end.
 */
import net from "node:net";
import { constants } from "node:http2";
import type { Http2Stream, ServerHttp2Stream } from "node:http2";
import type { Duplex, Writable } from "node:stream";
import { TLSSocket } from "node:tls";
import { closeAfterResponse } from "./end-stream.ts";
import { LINGER_MS } from "../limits.ts";
import { hasRemoteEnded } from "./remote-end.ts";

/** Copies bytes from one end to the other, in order, without ending `to`. */
export type Pump = (from: Duplex, to: Writable) => void;

/**
 * Starts copying both ways.
 *
 * @param onClose called once, when both ends are closed
 * @param onLoss ends the other end when one is reset or lost. Default {@link abort}
 * @param pump copies from `a` to `b`. Default {@link copy}
 */
export function splice(
  a: Duplex,
  b: Duplex,
  onClose?: () => void,
  onLoss: (end: Duplex) => void = abort,
  pump: Pump = copy,
): void {
  let open = 2;
  const closed = () => {
    open -= 1;
    if (open === 0) onClose?.();
  };
  spliceOneWay(a, b, closed, onLoss, pump);
  spliceOneWay(b, a, closed, onLoss, copy);
}

/** The default pump: all bytes, unchanged. */
export function copy(from: Duplex, to: Writable): void {
  from.pipe(to, { end: false });
}

/**
 * One direction of {@link splice}.
 *
 * @param finish ends `to` when `from` has ended cleanly
 */
export function spliceOneWay(
  from: Duplex,
  to: Duplex,
  closed: () => void,
  onLoss: (end: Duplex) => void = abort,
  pump: Pump = copy,
  finish: (to: Duplex) => void = end,
): void {
  let ended = false;
  const onEnd = () => {
    // An HTTP/2 stream that was reset may still emit 'end' first; its code is known one turn of the loop later.
    setImmediate(() => {
      if (wasReset(from)) return onLoss(to);
      ended = true;
      if (!to.writableEnded && !to.destroyed) finish(to);
    });
  };
  let isClosed = false;
  const onClose = () => {
    if (isClosed) return;
    isClosed = true;
    setImmediate(() => {
      if (!ended || wasReset(from)) onLoss(to);
      else closeAfterEnd(to, onLoss);
      closed();
    });
  };
  // Events that have fired are not repeated: a stream may end in the packet that brings its response.
  if (from.readableEnded) onEnd();
  else from.on("end", onEnd);
  // Never removed: 'error' can come after 'end'. It is handled on 'close', which always follows.
  from.on("error", ignore);
  from.once("close", onClose);
  if (from.destroyed) onClose();
  // The peer of `to` accepts no more data. A further write would destroy `to`, with what is still to be read from it.
  to.once("aborted", () => from.unpipe(to));
  pump(from, to);
}

function ignore(): void {}

function end(stream: Duplex): void {
  stream.end();
}

function wasReset(stream: Duplex): boolean {
  if (stream.errored !== null) return true;
  if (!isHttp2(stream)) return false;
  if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) return true;
  // A server declines the rest of a request in this way (RFC 9113 §8.1); no client has a rest to decline.
  const mayDecline = hasRemoteEnded(stream) === true && !isServerStream(stream);
  if (stream.aborted) return !mayDecline;
  return hasRemoteEnded(stream) === false;
}

function isHttp2(stream: Duplex): stream is Http2Stream {
  return "rstCode" in stream;
}

function isServerStream(stream: Duplex): stream is ServerHttp2Stream {
  return "respond" in stream;
}

/**
 * The other end has closed cleanly, so this one's data has no reader any more. Bytes on their way to it are still
 * delivered. Its own are read and dropped for a while: closing a socket with unread bytes resets the connection, and the
 * peer may not have read everything yet.
 */
function closeAfterEnd(end: Duplex, onLoss: (end: Duplex) => void): void {
  if (end.readableEnded || end.destroyed) return;
  if (isServerStream(end)) return closeAfterResponse(end);
  end.resume();
  const timer = setTimeout(() => onLoss(end), LINGER_MS);
  end.once("end", () => clearTimeout(timer));
  end.once("close", () => clearTimeout(timer));
}

/** Ends a stream so that its peer sees an error: RST_STREAM, TCP RST, or the nearest equivalent. */
export function abort(stream: Duplex, reason: Error = new Error("the other end was reset")): void {
  if (stream.destroyed) return;
  const below = stream instanceof TLSSocket ? socketBelow(stream) : stream;
  // A Unix socket has no reset: resetAndDestroy() throws there.
  // While the FIN is on its way a reset fails with EINVAL, and node loses the open socket. No data can be lost by then.
  const isEnding = isShuttingDown(stream) || isShuttingDown(below);
  if (below instanceof net.Socket && below.remoteAddress !== undefined && !isEnding) below.resetAndDestroy();
  if (!stream.destroyed) stream.destroy(reason);
}

/** Whether only the FIN is still on its way: a reset would fail, and no data can be lost any more. */
export function isShuttingDown(stream: unknown): boolean {
  if (!(stream instanceof net.Socket)) return false;
  return stream.writableEnded && !stream.writableFinished && stream.writableLength === 0;
}

/**
 * TLS has no reset either, and node's TLS sockets take a connection that ends without close_notify for a clean end. So
 * the TCP socket below, which node keeps under this name, is reset.
 */
export function socketBelow(socket: TLSSocket): unknown {
  return Reflect.get(socket, "_parent");
}
