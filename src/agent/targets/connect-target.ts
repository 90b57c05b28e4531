/** Opens a connection to one target, with a deadline. */
import net from "node:net";
import { codeFromErrno } from "../../wire/failure-codes.ts";
import { errorCodeOf, TurnaboutError } from "../../wire/errors.ts";
import { readAfterReset } from "../../wire/session/read-after-reset.ts";
import { limitUnsentBytes } from "../../wire/system/unsent-bytes.ts";
import { TARGET_CONNECT_TIMEOUT_MS } from "../limits.ts";
import type { TargetAddress } from "./targets.ts";

/**
 * Calls `done` once, unless the returned function cancels it first. With a callback and not a promise, because the socket
 * must get its listeners in the turn in which it connects, and because this is the hot path of every dial.
 */
export function connectTarget(
  address: TargetAddress,
  label: string,
  done: (error: TurnaboutError | undefined, socket: net.Socket) => void,
  timeoutMs: number = TARGET_CONNECT_TIMEOUT_MS,
): () => void {
  const socket = net.connect(
    address.kind === "unix"
      ? { path: address.path, allowHalfOpen: true }
      : {
          host: address.host,
          port: address.port,
          allowHalfOpen: true,
          noDelay: true,
          autoSelectFamily: true,
        },
  );
  readAfterReset(socket);
  const settle = (error: TurnaboutError | undefined) => {
    clearTimeout(timer);
    socket.off("connect", onConnect);
    if (error !== undefined) socket.destroy();
    socket.off("error", onError);
    socket.on("error", () => {}); // permanently: the socket's owner acts on 'close'
    done(error, socket);
  };
  const onConnect = () => {
    if (address.kind !== "unix") limitUnsentBytes(socket);
    settle(undefined);
  };
  const onError = (cause: Error) => {
    const errno = errorCodeOf(cause);
    const message = `connect ${label}: ${errno ?? "unknown error"}`;
    settle(new TurnaboutError(codeFromErrno(errno), message, { cause, errno }));
  };
  const timer = setTimeout(() => {
    settle(new TurnaboutError("target_timeout", `connect ${label}: no connection within ${timeoutMs} ms`));
  }, timeoutMs);
  socket.once("connect", onConnect);
  socket.once("error", onError);
  return () => {
    clearTimeout(timer);
    socket.off("connect", onConnect);
    socket.off("error", onError);
    socket.on("error", () => {});
    socket.destroy();
  };
}
