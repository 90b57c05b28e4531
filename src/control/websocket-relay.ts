/**
 * Relays an open WebSocket: frames pass as bytes, and only where the tunnel fails or the session ends does the caller
 * get a close frame of ours, between two of the target's, so that it learns more than "1006".
 */
import type { Duplex } from "node:stream";
import { abort, relay } from "../wire/relay.ts";
import { encodeClose, FrameTracker } from "../wire/websocket-frames.ts";
import type { CloseReason } from "./open-work.ts";

/** RFC 6455 §7.4.1 and the registry: 1012 service restart (come back), 1008 policy, 1001 going away. */
const LOST = { code: 1012, reason: "the connection to the target was lost" };
const CLOSED: Readonly<Record<CloseReason, { code: number; reason: string }>> = {
  revoked: { code: 1008, reason: "the credential has been revoked" },
  "session-ended": { code: 1001, reason: "the session has ended" },
};

/** After our close frame the caller has this long to answer and close. */
const CLOSE_TIMEOUT_MS = 5_000;

/** @returns ends it, with a close frame that says why */
export function relayWebSocket(
  caller: Duplex,
  stream: Duplex,
  onClose: () => void,
): (reason: CloseReason) => void {
  const tracker = new FrameTracker();
  stream.on("data", (chunk: Buffer) => tracker.feed(chunk));
  relay(caller, stream, onClose, (end) => {
    if (end === caller) say(LOST);
    else abort(end);
  });

  function say({ code, reason }: { code: number; reason: string }): void {
    if (caller.destroyed || caller.writableEnded) return;
    // In the middle of a frame nothing can be said that would be understood.
    if (!tracker.atBoundary || tracker.closed) return abort(caller);
    caller.end(encodeClose(code, reason));
    caller.resume();
    const timer = setTimeout(() => abort(caller), CLOSE_TIMEOUT_MS);
    caller.once("end", () => caller.destroy());
    caller.once("close", () => clearTimeout(timer));
  }

  return (reason) => {
    stream.unpipe(caller);
    say(CLOSED[reason]);
    abort(stream);
  };
}
