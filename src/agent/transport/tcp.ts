/** TCP and Unix-socket connections of an agent to its control plane, or to a proxy on the path. */
import { once } from "node:events";
import net from "node:net";
import type { ErrorCode } from "../../wire/error-table.ts";
import { errorCodeOf, toError, TurnaboutError } from "../../wire/errors.ts";
import { limitUnsentBytes } from "../../wire/system/unsent-bytes.ts";
import { TCP_KEEPALIVE_MS } from "../limits.ts";

/** @throws TurnaboutError `server_unreachable` */
export function connectTcp(host: string, port: number, signal: AbortSignal): Promise<net.Socket> {
  const options = { host, port, noDelay: true, autoSelectFamily: true };
  const keepAlive = { keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS };
  return connect({ ...options, ...keepAlive }, `${host}:${port}`, signal);
}

/** @throws TurnaboutError `server_unreachable` */
export function connectUnix(path: string, signal: AbortSignal): Promise<net.Socket> {
  return connect({ path }, `unix:${path}`, signal);
}

async function connect(to: net.NetConnectOpts, label: string, signal: AbortSignal): Promise<net.Socket> {
  const socket = net.connect(to);
  socket.on("error", () => {}); // permanently: an error without a listener would end the process
  try {
    await once(socket, "connect", { signal });
    limitUnsentBytes(socket);
    return socket;
  } catch (cause) {
    socket.destroy();
    throw stepFailed("server_unreachable", `connect to ${label}`, cause);
  }
}

/** The error of a failed step of an attempt, with its errno. */
export function stepFailed(code: ErrorCode, step: string, cause: unknown): TurnaboutError {
  const error = toError(cause);
  const errno = errorCodeOf(cause);
  const known = errno === undefined || error.message.includes(errno);
  const what = error.name === "AbortError" ? "timed out" : `${error.message}${known ? "" : ` (${errno})`}`;
  return new TurnaboutError(code, `${step}: ${what}`, { cause });
}
