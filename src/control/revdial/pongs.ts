/** Responds to a client's PINGs. ws would end the connection of one that sends a burst of them. */
import type { WebSocket } from "ws";
import { MAX_UNSENT_PONGS } from "./limits.ts";

/** RFC 6455 §5.5.3: of PINGs that come faster than PONGs leave, the latest needs a response alone. */
export function respondToPings(webSocket: WebSocket): void {
  let unsent = 0;
  let latest: Buffer | undefined;
  const respond = (data: Buffer): void => {
    unsent += 1;
    webSocket.pong(data, false, () => {
      unsent -= 1;
      const next = latest;
      latest = undefined;
      if (next !== undefined && webSocket.readyState === webSocket.OPEN) respond(next);
    });
  };
  webSocket.on("ping", (data: Buffer) => {
    if (webSocket.readyState !== webSocket.OPEN) return;
    if (unsent < MAX_UNSENT_PONGS) respond(data);
    else latest = Buffer.from(data); // not the whole chunk that it is part of
  });
}
