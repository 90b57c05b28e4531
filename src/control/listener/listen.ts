/** Where the port listens: on an address, or on a descriptor that another process has opened. */
import net from "node:net";
import { joinReasons, toError, TurnaboutError } from "../../wire/errors.ts";
import { limitUnsentBytes } from "../../wire/system/unsent-bytes.ts";
import { LISTEN_BACKLOG } from "../limits.ts";

export interface ListenOptions {
  port: number;
  host?: string | undefined;
  /** A socket that is bound already. `port` and `host` do not count. */
  fd?: number | undefined;
}

/**
 * Resolves when the server listens. A Unix socket has an address without a port.
 *
 * @throws TurnaboutError `config_invalid` if the descriptor is no listening socket; the system's own error otherwise
 */
export async function listen(
  server: net.Server,
  { port, host, fd }: ListenOptions,
): Promise<net.AddressInfo> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  // With `fd` the option `backlog` is ignored, and node's default would lower what the socket's owner has set.
  if (fd !== undefined) server.listen({ fd }, LISTEN_BACKLOG, resolve);
  else server.listen({ port, backlog: LISTEN_BACKLOG, ...(host !== undefined && { host }) }, resolve);
  try {
    await promise;
  } catch (cause) {
    if (fd === undefined) throw cause;
    throw new TurnaboutError(
      "config_invalid",
      joinReasons([
        `listen on descriptor ${fd}: ${toError(cause).message}`,
        "it has to be a socket that is bound and inherited",
      ]),
      { cause },
    );
  } finally {
    server.off("error", reject);
  }
  limitUnsentBytes(server);
  const address = server.address();
  if (address !== null && typeof address === "object") return address;
  return { address: address ?? "", family: "unix", port: 0 };
}
