/** Reports the response of a stream that we have opened, or its loss: exactly one of the two. */
import type { ClientHttp2Stream, IncomingHttpHeaders, IncomingHttpStatusHeader } from "node:http2";

export type ResponseHeaders = IncomingHttpHeaders & IncomingHttpStatusHeader;

export interface ResponseListener {
  response(headers: ResponseHeaders): void;
  /** The stream was reset, or its connection lost, before any response. `error` is node's, if there is one. */
  lost(error?: Error): void;
}

/**
 * A peer may send a response and RST_STREAM in one packet (RFC 9113 §8.1). node reports the reset inside its parser
 * ('aborted'), and the response only in a later tick; on carriers that are JavaScript streams this is always so. Therefore a
 * loss is reported one tick later: a response that arrived before it has been reported by then.
 *
 * Call it in the turn of the event loop in which the stream was opened.
 */
export function onResponse(stream: ClientHttp2Stream, listener: ResponseListener): void {
  let isSettled = false;
  function lose(error?: Error): void {
    process.nextTick(() => {
      if (isSettled) return;
      isSettled = true;
      listener.lost(error);
    });
  }
  stream.once("response", (headers) => {
    if (isSettled) return;
    isSettled = true;
    listener.response(headers);
  });
  stream.once("aborted", () => lose());
  stream.once("error", lose);
  stream.once("close", () => lose());
}
