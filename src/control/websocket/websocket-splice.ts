/**
 * Joins the two ends of an open WebSocket. Frames pass as bytes. Where the tunnel fails or we close it, the caller gets a
 * close frame of ours, between two of the target's, so that it learns more than "1006"; where the caller is lost or we close it,
 * the target gets one.
 */
import type { Duplex } from "node:stream";
import { WEBSOCKET_CLOSE_TIMEOUT_MS } from "../../wire/limits.ts";
import { abort } from "../../wire/streams/splice.ts";
import { encodeClose, FrameTracker } from "../../wire/websocket/websocket-frames.ts";
import type { ClientFrames } from "../../wire/websocket/client-frames.ts";
import { spliceFrames } from "../../wire/websocket/splice-frames.ts";
import type { CloseReason } from "../auth/active-streams.ts";
import type { CallerPump } from "../proxy/job.ts";

interface Close {
  code: number;
  reason: string;
}

/** RFC 6455 §7.4.1 and the registry: 1012 service restart (come back), 1008 policy, 1001 going away. */
const LOST: Close = { code: 1012, reason: "the connection to the target was lost" };
const CLOSE_CODES: Readonly<Record<Exclude<CloseReason["kind"], "stalled">, number>> = {
  revoked: 1008,
  "group-closed": 1001,
  restarting: 1012,
};

export interface WebSocketSpliceOptions {
  /** Called once, when both ends are closed. */
  onClose(): void;
  /** Default: the caller's bytes pass unchanged. */
  fromCaller?: CallerPump | undefined;
}

/**
 * @param frames to the stream
 * @returns closes it with a close frame that gives the reason
 */
export function spliceWebSocket(
  caller: Duplex,
  stream: Duplex,
  frames: ClientFrames,
  options: WebSocketSpliceOptions,
): (reason: CloseReason) => void {
  const tracker = new FrameTracker();
  const follow = (chunk: Buffer): void => {
    tracker.feed(chunk);
  };
  let isClosing = false;
  stream.on("data", follow);
  const ends = {
    onClose: () => options.onClose(),
    onServerLost: () => sendClose(LOST),
    fromClient: options.fromCaller?.(close),
  };
  spliceFrames(caller, stream, ends, frames);
  closeBehind(stream, caller);
  closeBehind(caller, stream);

  function sendClose({ code, reason }: Close): void {
    if (caller.destroyed || caller.writableEnded) return;
    // In the middle of a frame a close frame would not be recognised.
    if (!tracker.atBoundary || tracker.closed) return abort(caller);
    caller.end(encodeClose(code, reason));
    // Nothing reads its bytes any more: a pipe that is cut later would pause it, and its end would not be noticed.
    caller.unpipe();
    caller.resume();
    const timer = setTimeout(() => abort(caller), WEBSOCKET_CLOSE_TIMEOUT_MS);
    caller.once("end", () => caller.destroy());
    caller.once("close", () => clearTimeout(timer));
  }

  function close(reason: Close): void {
    stream.unpipe(caller);
    sendClose(reason);
    frames.leaveNow(reason.reason);
  }

  /**
   * The caller gets the close frame behind the frame that is under way. Its own close frame, which it responds with, passes to
   * the target as everything else does: masked, and between two frames.
   */
  function closeInOrder(reason: Close): void {
    if (isClosing || caller.destroyed || caller.writableEnded) return;
    isClosing = true;
    frames.explain(reason.reason); // of its end, should it not respond
    stream.unpipe(caller);
    stream.off("data", follow);
    const finish = (): void => {
      stream.off("data", pass);
      stream.resume(); // what it still sends has no reader
      if (tracker.closed) return; // the target's own close frame was the last
      caller.end(encodeClose(reason.code, reason.reason));
      const timer = setTimeout(() => abort(caller), WEBSOCKET_CLOSE_TIMEOUT_MS);
      caller.once("close", () => clearTimeout(timer));
    };
    const pass = (chunk: Buffer): void => {
      const bytes = tracker.feedToBoundary(chunk);
      if (!caller.write(chunk.subarray(0, bytes))) {
        stream.pause();
        caller.once("drain", () => stream.resume());
      }
      if (tracker.atBoundary) finish();
    };
    if (tracker.atBoundary) return finish();
    stream.on("data", pass);
    stream.resume();
  }

  return ({ kind, text }) => {
    if (kind === "stalled") {
      // It would not read a close frame either.
      abort(caller);
      return frames.leaveNow(text);
    }
    const reason = { code: CLOSE_CODES[kind], reason: text };
    if (kind === "restarting") closeInOrder(reason);
    else close(reason);
  };
}

/**
 * A WebSocket has no half-open state (RFC 6455 §7.1.1): when one end has ended, and the other has been sent all of its bytes,
 * the other is closed as well. Otherwise a peer that never closes would hold both.
 */
function closeBehind(ended: Duplex, other: Duplex): void {
  const wait = (): void => {
    // Not a reset of a socket: bytes that its peer reads slowly may still be in the kernel.
    const timer = setTimeout(
      () => ("rstCode" in other ? abort(other) : other.destroy()),
      WEBSOCKET_CLOSE_TIMEOUT_MS,
    );
    other.once("close", () => clearTimeout(timer));
  };
  ended.once("end", () => {
    if (other.destroyed) return;
    if (other.writableFinished) wait();
    else other.once("finish", wait);
  });
}
