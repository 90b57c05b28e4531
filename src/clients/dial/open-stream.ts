/** How a typed client opens its connections: through a tunnel, or to a Unix socket of this machine. */
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { Dial } from "../../wire/streams/dial.ts";
import { codeFromErrno } from "../../wire/failure-codes.ts";
import { errorCodeOf, TurnaboutError } from "../../wire/errors.ts";

/** Opens one connection to the service, ready for the first byte. Every connection is used once. */
export type OpenStream = (signal: AbortSignal) => Promise<Duplex>;

export function overTunnel(dial: Dial, runner: string, target: string): OpenStream {
  return (signal) => dial(runner, target, { signal });
}

/** Opening a stream rejects with TurnaboutError `target_refused` if nothing listens there, … */
export function overUnixSocket(path: string): OpenStream {
  return (signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
    const socket = connect({ path, allowHalfOpen: true });
    const fail = (cause: Error): void => {
      const code = codeFromErrno(errorCodeOf(cause));
      reject(new TurnaboutError(code, `connect unix:${path}: ${cause.message}`, { cause }));
    };
    const onAbort = (): void => {
      socket.destroy();
      reject(new TurnaboutError("aborted", `connect unix:${path}: aborted`, { cause: signal.reason }));
    };
    socket.once("error", fail);
    socket.once("connect", () => {
      socket.off("error", fail);
      signal.removeEventListener("abort", onAbort);
      resolve(socket);
    });
    socket.once("close", () => signal.removeEventListener("abort", onAbort));
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    return promise;
  };
}
