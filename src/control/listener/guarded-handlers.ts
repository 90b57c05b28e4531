/** Wraps the handlers of the port: an error that one throws fails its own exchange, not the process. */
import type { Logger } from "../../wire/log.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { breakResponse, rawErrorResponse, sendError } from "./error-response.ts";
import type { AnyRequest, AnyResponse, PortHandlers } from "./messages.ts";
import type { Duplex } from "node:stream";

export function guardHandlers(handlers: PortHandlers, log: Logger): PortHandlers {
  const report = (error: Error): void => log.error({ err: error }, "request handler failed");
  const exchange = (request: AnyRequest, response: AnyResponse): Guard =>
    new Guard(
      (error) => {
        report(error);
        sendError(request, response, error);
      },
      () => breakResponse(request, response),
    );
  const raw = (socket: Duplex): Guard =>
    new Guard(
      (error) => {
        report(error);
        socket.end(rawErrorResponse(error));
      },
      () => socket.destroy(),
    );
  return {
    ...handlers,
    request: (request, response) =>
      exchange(request, response).run(() => handlers.request(request, response)),
    upgrade: (request, socket, head) => raw(socket).run(() => handlers.upgrade(request, socket, head)),
    connect: (request, socket, head) => raw(socket).run(() => handlers.connect(request, socket, head)),
    connectStream: (request, response) =>
      exchange(request, response).run(() => handlers.connectStream(request, response)),
    reversed: (socket) => {
      const guard = new Guard((error) => {
        socket.destroy();
        report(error);
      });
      guard.run(() => handlers.reversed(socket));
    },
  };
}
