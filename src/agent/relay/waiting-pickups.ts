/**
 * Pick-ups of RevDial clients that wait for a dial of the relay: a client has as many of them at once as its callers open streams,
 * each of which would fail with a refusal.
 */
import type { Socket } from "node:net";
import { MAX_RELAY_WAITING_PICKUPS } from "../limits.ts";
import { FairPlaces } from "./places.ts";

interface Waiting {
  /** It tries again. False if it was refused. */
  retry: () => boolean;
  /** Another address has fewer that wait. */
  refuse: () => void;
  leave: () => void;
}

export class WaitingPickups {
  readonly #byPeer = new FairPlaces<Waiting>();
  /** The longest waiting first. */
  readonly #order = new Set<Waiting>();

  /** Others of this address wait already. */
  has(peer: string): boolean {
    return this.#byPeer.count(peer) > 0;
  }

  /** @returns false if it cannot wait */
  add(socket: Socket, peer: string, { retry, refuse }: Pick<Waiting, "refuse" | "retry">): boolean {
    if (this.#order.size >= MAX_RELAY_WAITING_PICKUPS) {
      const displaced = this.#byPeer.displacedBy(peer);
      if (displaced === undefined) return false;
      displaced.leave();
      displaced.refuse();
    }
    const leave = (): void => {
      socket.off("close", leave);
      release();
      this.#order.delete(waiting);
    };
    const waiting: Waiting = { retry, refuse, leave };
    const release = this.#byPeer.take(peer, waiting);
    this.#order.add(waiting);
    socket.once("close", leave);
    return true;
  }

  /** A dial has ended: another one begins. */
  next(): void {
    for (const { leave, retry } of this.#order) {
      leave();
      if (retry()) return;
    }
  }

  /** No dial begins any more: all are refused. */
  flush(): void {
    for (const { leave, refuse } of this.#order) {
      leave();
      refuse();
    }
  }
}
