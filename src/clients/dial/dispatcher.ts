/** An undici dispatcher over dialled streams: `fetch("http://wolf.wolf-local/api/v1/apps", { dispatcher })`. */
import type { Socket } from "node:net";
import { Agent } from "undici";
import type { Dispatcher } from "undici";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import type { Dial } from "../../wire/streams/dial.ts";
import { parseAuthority } from "../../wire/messages/names.ts";

/**
 * A dispatcher that dials its connections: the host of a URL is `<target>.<runner>`. Only `http:`, because the tunnel's own
 * TLS protects the stream.
 *
 * @param options undici's own, without `connect`
 */
export function createDispatcher(dial: Dial, options: Omit<Agent.Options, "connect"> = {}): Dispatcher {
  return new Agent({
    ...options,
    connect: ({ hostname, protocol }, callback) => {
      const destination = parseAuthority(hostname);
      if (protocol !== "http:" || destination === undefined) {
        const reason = `dispatcher: ${protocol}//${hostname}: use http://<target>.<runner>`;
        return callback(new TurnaboutError("bad_request", reason), null);
      }
      dial(destination.runner, destination.target).then(
        (socket) => {
          // Like undici's own sockets: its WebSocket waits for 'close', which a half-open socket never emits.
          socket.allowHalfOpen = false;
          const guard = new Guard((error) => {
            socket.destroy(error);
            callback(error, null);
          });
          // undici accepts any socket-like object; its types require a net.Socket.
          guard.run(() => callback(null, socket as Socket));
        },
        (error: unknown) => callback(toError(error), null),
      );
    },
  });
}
