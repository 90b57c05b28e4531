/** Which way a stream of another node goes. */
import { TurnaboutError } from "../../wire/errors.ts";
import { discardStream, resetStream } from "../../wire/streams/end-stream.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { watchRemoteEnd } from "../../wire/streams/remote-end.ts";
import { relayConnect } from "./relayed-connect.ts";
import { refuseRelayed } from "./relayed-stream.ts";
import type { RelayContext, RelayedStream } from "./relayed-stream.ts";
import { relayWebSocket } from "./relayed-websocket.ts";

/** Takes over the stream, in the turn in which it has arrived. */
export function relay(relayed: RelayedStream, context: RelayContext): void {
  const { stream, headers } = relayed;
  watchRemoteEnd(stream);
  stream.on("error", () => {}); // permanently: 'error' can come after 'end'
  if (stream.destroyed || stream.closed) return discardStream(stream);
  const guard = new Guard(
    (error) => refuseRelayed(stream, error),
    (error) => resetStream(stream, error),
  );
  guard.run(() => {
    // The other node has been told, or will be: it dials again, where the agent is then.
    if (context.draining()) throw new TurnaboutError("agent_draining", "relay: this node is shutting down");
    const protocol = headers[":protocol"];
    if (protocol === undefined) return relayConnect(relayed, context);
    if (protocol === "websocket") return relayWebSocket(relayed, context);
    throw new TurnaboutError("bad_request", "relay: :protocol must be websocket");
  });
}
