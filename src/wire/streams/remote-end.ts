/**
 * Whether the peer has ended its half of a stream with END_STREAM. node does not report it: a stream that was reset with
 * NO_ERROR emits 'end' as well, so truncated data would look complete.
 */
import { constants } from "node:http2";
import type { Http2Stream } from "node:http2";

/** `true`: END_STREAM has arrived. */
const ENDED = new WeakMap<Http2Stream, boolean>();

/** Call it in the turn of the event loop in which the stream was opened or received. Idempotent. */
export function watchRemoteEnd(stream: Http2Stream): void {
  if (ENDED.has(stream)) return;
  ENDED.set(stream, !stream.closed && stream.state.remoteClose === 1);
  const push = stream.push.bind(stream);
  // For END_STREAM, node calls `push(null)` while the stream is not closed; a reset stream is closed first.
  const watch = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (chunk === null && !stream.closed) ENDED.set(stream, true);
    return push(chunk, encoding);
  };
  stream.push = watch;
}

/** Undefined for a stream that is not watched. */
export function hasRemoteEnded(stream: Http2Stream): boolean | undefined {
  return ENDED.get(stream);
}

/** All that the peer sends has come: END_STREAM, and no reset but NO_ERROR, which only declines what we still send. */
export function isComplete(stream: Http2Stream): boolean {
  return hasRemoteEnded(stream) === true && stream.rstCode === constants.NGHTTP2_NO_ERROR;
}
