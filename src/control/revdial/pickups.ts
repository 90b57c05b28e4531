/** Dials that wait until their client connects for them: by an id that cannot be guessed, and that counts once. */
import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { TurnaboutError } from "../../wire/errors.ts";

const ID_BYTES = 16;
const ID = /^[0-9a-f]{32}$/;

/** A client has connected for a dial. */
export interface PickedUp {
  webSocket: WebSocket;
  /** Below the WebSocket. */
  socket: Duplex;
  /** The client loses what it does not read at once: `data-messages.ts`. */
  readsInPieces: boolean;
}

export interface WaitingPickup {
  /** Id of the credential of the client that is to connect. */
  readonly credential: string;
  deliver(pickedUp: PickedUp): void;
}

export class Pickups {
  readonly #waiting = new Map<string, WaitingPickup>();

  /** They are as many as the streams of their clients, at most. @returns its id */
  add(pickup: WaitingPickup): string {
    const id = randomBytes(ID_BYTES).toString("hex");
    this.#waiting.set(id, pickup);
    return id;
  }

  forget(id: string): void {
    this.#waiting.delete(id);
  }

  /**
   * The dial with this id, which does not count again. With another credential than its client's it keeps waiting.
   *
   * @throws TurnaboutError `not_found`, `not_allowed`
   */
  take(id: string, credential: string): WaitingPickup {
    const pickup = ID.test(id) ? this.#waiting.get(id) : undefined;
    if (pickup === undefined) {
      throw new TurnaboutError("not_found", "pick-up: no dial waits for it, or no longer");
    }
    if (pickup.credential !== credential) {
      throw new TurnaboutError("not_allowed", `pick-up: ${credential} has not announced this runner`);
    }
    this.#waiting.delete(id);
    return pickup;
  }
}
