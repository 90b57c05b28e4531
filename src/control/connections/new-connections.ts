/**
 * Connections that have not brought a request yet: first bytes, a TLS handshake or a request header are under way. All have
 * a deadline; their number is bounded, and when all places are taken, an address with many loses one to an address with
 * fewer. Behind a proxy that names the client in a PROXY header that is the client's address. Of other proxies it is their own:
 * whose a connection is they tell in its requests only, and they have read a request before they connect.
 */
import type { Socket } from "node:net";
import { MAX_NEW_CONNECTIONS } from "./limits.ts";

/** A socket, or what stands for it above TLS or HTTP/2: it is known by its peer. */
type Peer = Pick<Socket, "remoteAddress" | "remotePort">;

/** Emptied when it is given back: a Map keeps for a while what it has held (docs/traps.md). */
interface Place {
  socket: Socket | undefined;
}

export class NewConnections {
  readonly #max: number;
  /** By address, and then by peer; the oldest first. */
  readonly #byAddress = new Map<string, Map<string, Place>>();
  /** The address that a peer's connection counts for. */
  readonly #addresses = new Map<string, string>();
  #count = 0;

  /** @param max default {@link MAX_NEW_CONNECTIONS} */
  constructor(max: number = MAX_NEW_CONNECTIONS) {
    this.#max = max;
  }

  /** A connection has been accepted. @returns false if there is no place: it has been destroyed */
  add(socket: Socket): boolean {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined) return true; // not TCP, or closed again
    const address = addressGroup(remoteAddress);
    if (this.#count >= this.#max && !this.#makeRoomFor(address)) {
      socket.destroy();
      return false;
    }
    const key = keyOf(socket);
    this.#place(key, address, socket);
    socket.once("close", () => this.#remove(key));
    return true;
  }

  /** A trusted proxy has named the client of this connection: it counts for the client's address from now on. */
  belongsTo(socket: Socket, address: string): void {
    const key = keyOf(socket);
    if (this.#remove(key)) this.#place(key, addressGroup(address), socket);
  }

  /** Its first request has come, or it has become a tunnel connection. */
  done(peer: Peer): void {
    if (peer.remoteAddress !== undefined) this.#remove(keyOf(peer));
  }

  #place(key: string, address: string, socket: Socket): void {
    const own = this.#byAddress.get(address) ?? new Map<string, Place>();
    this.#byAddress.set(address, own);
    own.set(key, { socket });
    this.#addresses.set(key, address);
    this.#count += 1;
  }

  /** @returns whether it had a place */
  #remove(key: string): boolean {
    const address = this.#addresses.get(key);
    if (address === undefined) return false;
    this.#addresses.delete(key);
    const own = this.#byAddress.get(address);
    const place = own?.get(key);
    if (place !== undefined) place.socket = undefined;
    own?.delete(key);
    if (own?.size === 0) this.#byAddress.delete(address);
    this.#count -= 1;
    return true;
  }

  /** Ends the oldest connection of the address with the most, unless `address` has as many. */
  #makeRoomFor(address: string): boolean {
    let most: Map<string, Place> | undefined;
    for (const places of this.#byAddress.values()) if (places.size > (most?.size ?? 0)) most = places;
    const [oldest] = most ?? [];
    if (most === undefined || oldest === undefined) return false;
    if (most.size <= (this.#byAddress.get(address)?.size ?? 0)) return false;
    const [key, { socket }] = oldest;
    this.#remove(key);
    socket?.destroy();
    return true;
  }
}

function keyOf({ remoteAddress, remotePort }: Peer): string {
  return `${remoteAddress} ${remotePort}`;
}

/** An IPv6 customer has a /64, and every address in it. */
function addressGroup(address: string): string {
  if (!address.includes(":") || address.includes(".")) return address;
  const [head = "", tail] = address.split("::", 2);
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - groups.length - rest.length;
  return [...groups, ...Array.from({ length: zeros }, () => "0"), ...rest].slice(0, 4).join(":");
}
