/**
 * Has the peer ended its half of a stream with END_STREAM? node does not tell: a stream that was reset with NO_ERROR
 * emits 'end' all the same, and what was cut off would look complete.
 */
import { constants } from "node:http2";
import type { Http2Stream } from "node:http2";

/** true: END_STREAM has come. */
const ENDED = new WeakMap<Http2Stream, boolean>();

/** Call it in the turn in which a stream was opened, or came. Idempotent. */
export function watchRemoteEnd(stream: Http2Stream): void {
  if (ENDED.has(stream)) return;
  ENDED.set(stream, !stream.closed && stream.state.remoteClose === 1);
  const push = stream.push.bind(stream);
  // node says END_STREAM by `push(null)` of a stream that is not closed; of a reset stream it closes it first.
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null && !stream.closed) ENDED.set(stream, true);
    return push(chunk, encoding);
  };
}

/** Undefined of a stream that is not watched. */
export function hasRemoteEnded(stream: Http2Stream): boolean | undefined {
  return ENDED.get(stream);
}

/** All that the peer sends has come: END_STREAM, and no reset but NO_ERROR, which only declines what we still send. */
export function isComplete(stream: Http2Stream): boolean {
  return hasRemoteEnded(stream) === true && stream.rstCode === constants.NGHTTP2_NO_ERROR;
}
