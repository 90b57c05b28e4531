/** The open connections of one slot: the one that it serves, and older ones that only finish their streams. */
import { TurnaboutError } from "../../wire/errors.ts";
import { carrierBytes } from "../../wire/session/carrier.ts";
import { MAX_DRAINING_CONNECTIONS } from "../limits.ts";
import type { TunnelConnection } from "./tunnel-connection.ts";

export class OpenConnections {
  /** In the order in which they were established. */
  readonly #connections = new Set<TunnelConnection>();
  readonly #onCount: (delta: 1 | -1) => void;
  /** Of connections that have closed. */
  #closedBytes = 0;

  constructor(onCount: (delta: 1 | -1) => void) {
    this.#onCount = onCount;
  }

  /** Holds it until it closes. */
  add(connection: TunnelConnection): void {
    this.#connections.add(connection);
    this.#onCount(1);
    connection.http2Session.once("close", () => {
      this.#connections.delete(connection);
      this.#closedBytes += carrierBytes(connection.carrier.stream);
      this.#onCount(-1);
      connection.carrier.stream.destroy();
    });
  }

  all(): Iterable<TunnelConnection> {
    return this.#connections;
  }

  /** In both directions, so far. */
  get transferredBytes(): number {
    let bytes = this.#closedBytes;
    for (const { carrier } of this.#connections) bytes += carrierBytes(carrier.stream);
    return bytes;
  }

  /** Destroys the oldest connection if there are more than may drain at once. */
  limit(): void {
    if (this.#connections.size <= MAX_DRAINING_CONNECTIONS) return;
    const [oldest] = this.#connections;
    oldest?.destroy(new Error("too many draining connections"));
  }

  /** Closes connections with an outdated certificate that carry no stream, once another connection is in use. */
  readonly retireOutdated = (): void => {
    const all = [...this.#connections];
    if (!all.some(({ isInUse }) => isInUse)) return;
    for (const connection of all) {
      if (connection.isOutdatedAndIdle)
        connection.drain("the agent has connected with its renewed certificate");
    }
  };

  drain(message: string): void {
    for (const connection of this.#connections) connection.drain(message);
  }

  destroy(): void {
    for (const connection of this.#connections) {
      connection.destroy(new TurnaboutError("agent_draining", "the drain deadline has passed"));
    }
  }
}
