/**
 * Joins the two ends of an open WebSocket: frames pass as bytes, and only where the tunnel fails or we close it does the
 * caller get a close frame of ours, between two of the target's, so that it learns more than "1006".
 */
import type { Duplex } from "node:stream";
import { abort, copy, splice } from "../../wire/streams/splice.ts";
import { encodeClose, FrameTracker } from "../../wire/streams/websocket-frames.ts";
import type { CloseReason } from "../auth/active-streams.ts";
import type { CallerPump } from "../proxy/job.ts";

interface Close {
  code: number;
  reason: string;
}

/** RFC 6455 §7.4.1 and the registry: 1012 service restart (come back), 1008 policy, 1001 going away. */
const LOST: Close = { code: 1012, reason: "the connection to the target was lost" };
const CLOSE_CODES: Readonly<Record<CloseReason["kind"], number>> = { revoked: 1008, "group-closed": 1001 };

/** After our close frame the caller has this long to answer and close. */
const CLOSE_TIMEOUT_MS = 5_000;

export interface WebSocketSpliceOptions {
  /** Called once, when both ends are closed. */
  onClose(): void;
  /** Default: the caller's bytes pass unchanged. */
  fromCaller?: CallerPump | undefined;
}

/** @returns ends it, with a close frame that says why */
export function spliceWebSocket(
  caller: Duplex,
  stream: Duplex,
  options: WebSocketSpliceOptions,
): (reason: CloseReason) => void {
  const tracker = new FrameTracker();
  stream.on("data", (chunk: Buffer) => tracker.feed(chunk));
  splice(
    caller,
    stream,
    () => options.onClose(),
    (end) => {
      if (end === caller) say(LOST);
      else abort(end);
    },
    options.fromCaller?.(close) ?? copy,
  );

  function say({ code, reason }: Close): void {
    if (caller.destroyed || caller.writableEnded) return;
    // In the middle of a frame nothing can be said that would be understood.
    if (!tracker.atBoundary || tracker.closed) return abort(caller);
    caller.end(encodeClose(code, reason));
    // Nobody takes its bytes any more: a pipe that is cut later would pause it, and its end would not be seen.
    caller.unpipe();
    caller.resume();
    const timer = setTimeout(() => abort(caller), CLOSE_TIMEOUT_MS);
    caller.once("end", () => caller.destroy());
    caller.once("close", () => clearTimeout(timer));
  }

  function close(why: Close): void {
    stream.unpipe(caller);
    say(why);
    abort(stream);
  }

  return ({ kind, text }) => close({ code: CLOSE_CODES[kind], reason: text });
}
