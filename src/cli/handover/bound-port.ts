/** A port that is bound and on which this process never accepts: it holds it for the processes that it starts. */
import { lookup } from "node:dns/promises";
import net from "node:net";
import { errorCodeOf } from "../../wire/errors.ts";
import { UsageError } from "../command.ts";

export interface BoundPort {
  readonly fd: number;
  readonly port: number;
}

/**
 * @param host default: all addresses, of both families where the machine has both
 * @throws the system's error (EADDRINUSE, …)
 */
export async function bindPort(port: number, host: string | undefined): Promise<BoundPort> {
  // Since Node 26.4; we require less.
  const { BoundSocket } = net as Partial<typeof net>;
  if (BoundSocket === undefined)
    throw new UsageError(
      `--supervise needs net.BoundSocket, which Node ${process.versions.node} lacks`,
      "use Node 26.4 or later, or hold the port by systemd's socket activation",
    );
  const bind = (address: string): BoundPort => {
    const socket = new BoundSocket({ host: address, port });
    held.add(socket);
    return { fd: socket.fd(), port: socket.address().port };
  };
  if (host !== undefined) return bind((await lookup(host)).address);
  try {
    return bind("::");
  } catch (error) {
    if (errorCodeOf(error) === "EADDRINUSE" || errorCodeOf(error) === "EACCES") throw error;
    return bind("0.0.0.0"); // no IPv6 here
  }
}

/** Collected as garbage, a socket would be closed. */
const held = new Set<net.BoundSocket>();
