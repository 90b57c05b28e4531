/**
 * Blind relay (RFC 9110 §3.7) between two byte streams, each an Http2Stream or a socket. FIN stays FIN, so half-close
 * works both ways; a reset or a loss on one side is a reset on the other, never a clean end.
 */
import net from "node:net";
import { constants } from "node:http2";
import type { Http2Stream, ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { closeAfterResponse } from "./end-stream.ts";
import { LINGER_MS } from "../limits.ts";
import { hasRemoteEnded } from "./remote-end.ts";

/** How bytes get from one end to the other. Their order is kept, and `to` is not ended. */
export type Pump = (from: Duplex, to: Duplex) => void;

/**
 * Starts copying both ways. `onClose` is called once, when both ends are closed.
 *
 * @param tell what the other end is told when one is reset or lost. Default {@link abort}
 * @param pump how bytes get from `a` to `b`. Default {@link copy}
 */
export function relay(
  a: Duplex,
  b: Duplex,
  onClose?: () => void,
  tell: (end: Duplex) => void = abort,
  pump: Pump = copy,
): void {
  let open = 2;
  const closed = () => {
    open -= 1;
    if (open === 0) onClose?.();
  };
  forward(a, b, closed, tell, pump);
  forward(b, a, closed, tell, copy);
}

/** All bytes, as they are. */
export function copy(from: Duplex, to: Duplex): void {
  from.pipe(to, { end: false });
}

/**
 * One direction of it.
 *
 * @param last written when `from` has ended as it should, before the end of `to`
 */
export function forward(
  from: Duplex,
  to: Duplex,
  closed: () => void,
  tell: (end: Duplex) => void = abort,
  pump: Pump = copy,
  last = "",
): void {
  let ended = false;
  const onEnd = () => {
    // An HTTP/2 stream that was reset may still say 'end' first; one turn of the loop later the code is known.
    setImmediate(() => {
      if (wasReset(from)) return tell(to);
      ended = true;
      if (to.writableEnded || to.destroyed) return;
      if (last === "") to.end();
      else to.end(last);
    });
  };
  let isClosed = false;
  const onClose = () => {
    if (isClosed) return;
    isClosed = true;
    setImmediate(() => {
      if (!ended || wasReset(from)) tell(to);
      else closeAfterEnd(to, tell);
      closed();
    });
  };
  // What has happened before will not be said again: a stream may end in the packet that brings its response.
  if (from.readableEnded) onEnd();
  else from.on("end", onEnd);
  // For ever: 'error' can come after 'end'. What it means is handled on 'close', which always follows.
  from.on("error", ignore);
  from.once("close", onClose);
  if (from.destroyed) onClose();
  // The peer of `to` takes no more. A further write would destroy it, with what it has still to say.
  to.once("aborted", () => from.unpipe(to));
  pump(from, to);
}

function ignore(): void {}

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
 * The other end has closed, having said everything: nobody takes what this one still sends. It gets what is on its way,
 * and its own bytes are dropped for a while, because a socket that is closed with unread bytes resets its peer, which
 * may not have read all.
 */
function closeAfterEnd(end: Duplex, tell: (end: Duplex) => void): void {
  if (end.readableEnded || end.destroyed) return;
  if (isServerStream(end)) return closeAfterResponse(end);
  end.resume();
  const timer = setTimeout(() => tell(end), LINGER_MS);
  end.once("end", () => clearTimeout(timer));
  end.once("close", () => clearTimeout(timer));
}

/** Ends a stream so that its peer sees an error: RST_STREAM, TCP RST, or the nearest thing that there is. */
export function abort(
  stream: Duplex,
  reason: Error = new Error("the other end of the relay was reset"),
): void {
  if (stream.destroyed) return;
  const below = stream instanceof TLSSocket ? socketBelow(stream) : stream;
  // A Unix socket has no reset of its own: resetAndDestroy() throws there.
  // While its FIN is on its way a reset fails with EINVAL, and node loses the socket, open: nothing of it is cut by then.
  const isEnding = isShuttingDown(stream) || isShuttingDown(below);
  if (below instanceof net.Socket && below.remoteAddress !== undefined && !isEnding) below.resetAndDestroy();
  if (!stream.destroyed) stream.destroy(reason);
}

/** Its FIN is on its way, and nothing else: a reset would fail, and nothing can be cut any more. */
export function isShuttingDown(stream: unknown): boolean {
  if (!(stream instanceof net.Socket)) return false;
  return stream.writableEnded && !stream.writableFinished && stream.writableLength === 0;
}

/**
 * TLS has no reset either, and a connection that ends without close_notify is a clean end to node's own TLS sockets:
 * the TCP socket below, which node keeps under this name, has to tell.
 */
function socketBelow(socket: TLSSocket): unknown {
  return Reflect.get(socket, "_parent");
}
