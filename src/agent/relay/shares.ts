/**
 * Who has how many of a relay's places. An agent is known by its credential: the control plane has accepted it before there
 * is a joined connection. Until then anyone can send any credential, so that dials are shared by address first.
 */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { ENDPOINT_RUNNER_PARAMETER } from "../../wire/protocol.ts";
import {
  MAX_RELAY_DIALS,
  MAX_RELAYED_CONNECTIONS,
  RELAYED_CONNECTIONS_PER_AGENT,
  RELAYED_PICKUPS_PER_CREDENTIAL,
} from "../limits.ts";
import { isPickup } from "./pickup.ts";
import { FairPlaces } from "./places.ts";

export interface Holder {
  /** Hash of its credential: no token is kept. */
  credential: string;
  /** Credential and first runner: one agent, and its predecessor and successor. Or all pick-ups with this credential. */
  agent: string;
  /** As many connections as that may have. */
  maxConnections: number;
  /** Its address; one for all on a Unix socket, where it is unknown. */
  peer: string;
}

export function holderOf({ headers, url = "" }: IncomingMessage, socket: Socket): Holder {
  const credential = createHash("sha256")
    .update(headers.authorization ?? "")
    .digest("base64");
  const runner = new URLSearchParams(url.split("?", 2)[1]).get(ENDPOINT_RUNNER_PARAMETER) ?? "";
  const isDial = isPickup(url);
  return {
    credential,
    agent: isDial ? `${credential} pick-ups` : `${credential} ${runner}`,
    maxConnections: isDial ? RELAYED_PICKUPS_PER_CREDENTIAL : RELAYED_CONNECTIONS_PER_AGENT,
    peer: socket.remoteAddress ?? "",
  };
}

/** A dial that has no response yet, or a joined connection. */
interface Place {
  holder: Holder;
  /** Ends it, with `relay_full`. */
  end: () => void;
  release: () => void;
}

export class RelayShares {
  /** By address. */
  readonly #dials = new FairPlaces<Place>();
  /** By credential. */
  readonly #joined = new FairPlaces<Place>();
  /** Dials and joined connections of one agent. */
  readonly #agents = new FairPlaces<Place>();

  /**
   * A place for a dial, where another one may have to go.
   *
   * @param end ends the dial, if it has to go for another one
   * @returns gives the place back; undefined if there is none
   */
  dial(holder: Holder, end: () => void): (() => void) | undefined {
    if (!this.hasRoomFor(holder)) return undefined;
    if (this.#dials.size >= MAX_RELAY_DIALS) {
      const displaced = this.#dials.displacedBy(holder.peer) ?? this.#displacedAmongPeers(holder);
      if (displaced === undefined) return undefined;
      displace(displaced);
    }
    return this.#take(this.#dials, holder.peer, holder, end);
  }

  /** False where a dial would be for nothing, however few others are under way. */
  hasRoomFor({ agent, credential, maxConnections }: Holder): boolean {
    if (this.#agents.count(agent) >= maxConnections) return false;
    return this.#joined.size < MAX_RELAYED_CONNECTIONS || this.#joined.displacedBy(credential) !== undefined;
  }

  /** As {@link dial}, for a dial that the control plane has accepted. Its own place is given back first. */
  join(holder: Holder, end: () => void): (() => void) | undefined {
    if (this.#joined.size >= MAX_RELAYED_CONNECTIONS) {
      const displaced = this.#joined.displacedBy(holder.credential);
      if (displaced === undefined) return undefined;
      displace(displaced);
    }
    return this.#take(this.#joined, holder.credential, holder, end);
  }

  #take(places: FairPlaces<Place>, by: string, holder: Holder, end: () => void): () => void {
    const place: Place = {
      holder,
      end,
      release: () => {
        release();
        releaseAgent();
      },
    };
    const release = places.take(by, place);
    const releaseAgent = this.#agents.take(holder.agent, place);
    return place.release;
  }

  /** Of the dials from the same address, by credential. */
  #displacedAmongPeers({ peer, credential }: Holder): Place | undefined {
    const byCredential = new FairPlaces<Place>();
    for (const place of this.#dials.of(peer)) byCredential.take(place.holder.credential, place);
    return byCredential.displacedBy(credential);
  }
}

function displace(place: Place): void {
  place.release();
  place.end();
}
