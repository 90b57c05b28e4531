/**
 * The handshake of two nodes, in one field of an HTTP/1.1 upgrade and of its 101. Each proves that it knows the cluster secret, and both
 * derive the connection's key from it and from their nonces. Recorded, it is of no use: without the secret there is no key.
 *
 *     GET <base>/api/v1/peer            Turnabout-Peer: 1 <from> <to> <nonce> <MAC>
 *     101 Switching Protocols           Turnabout-Peer: 1 <nonce> <MAC>
 */
import { randomBytes } from "node:crypto";
import { TurnaboutError } from "../../wire/errors.ts";
import type { ClusterKeys, ConnectionNonces, MacKey } from "./keys.ts";
import { isRunnerId } from "../../wire/messages/names.ts";

const NONCE_BYTES = 32;
const REQUEST = /^1 ([a-z0-9_-]{1,128}) ([a-z0-9_-]{1,128}) ([0-9a-f]{64}) ([A-Za-z0-9_-]{43})$/;
const RESPONSE = /^1 ([0-9a-f]{64}) ([A-Za-z0-9_-]{43})$/;

/** What the dialling node sends. */
export interface HandshakeRequest {
  from: string;
  to: string;
  nonce: string;
  value: string;
}

/** What it has become. */
export interface Handshake {
  /** The node that has dialled. */
  from: string;
  key: MacKey;
}

export function requestHandshake(keys: ClusterKeys, from: string, to: string): HandshakeRequest {
  const nonce = randomBytes(NONCE_BYTES).toString("hex");
  const mac = keys.handshake.mac("request", [from, to, nonce]);
  return { from, to, nonce, value: `1 ${from} ${to} ${nonce} ${mac}` };
}

/**
 * @param self id of this node: a request that was meant for another one is refused
 * @returns the connection's key, and the field of the 101
 * @throws TurnaboutError `unauthenticated`
 */
export function acceptHandshake(
  keys: ClusterKeys,
  self: string,
  value: string | string[] | undefined,
): Handshake & { value: string } {
  const [, from = "", to = "", fromNonce = "", mac = ""] = REQUEST.exec(String(value ?? "")) ?? [];
  if (!keys.handshake.verify(mac, "request", [from, to, fromNonce]) || !isRunnerId(from)) {
    throw new TurnaboutError("unauthenticated", "peer: the cluster secret is another one");
  }
  if (to !== self) {
    throw new TurnaboutError("unauthenticated", `peer: ${from} means node ${to}; this one is ${self}`, {
      details: [`this node is ${self}`],
    });
  }
  if (from === self) throw new TurnaboutError("unauthenticated", `peer: two nodes have the id ${self}`);
  const nonces: ConnectionNonces = { from, to, fromNonce, toNonce: randomBytes(NONCE_BYTES).toString("hex") };
  const proof = keys.handshake.mac("response", [from, to, fromNonce, nonces.toNonce]);
  return { from, key: keys.connection(nonces), value: `1 ${nonces.toNonce} ${proof}` };
}

/** @returns the connection's key @throws TurnaboutError `unauthenticated` if the other end does not know the secret */
export function finishHandshake(
  keys: ClusterKeys,
  { from, to, nonce: fromNonce }: HandshakeRequest,
  value: string | string[] | undefined,
): MacKey {
  const [, toNonce = "", mac = ""] = RESPONSE.exec(String(value ?? "")) ?? [];
  if (!keys.handshake.verify(mac, "response", [from, to, fromNonce, toNonce])) {
    throw new TurnaboutError(
      "unauthenticated",
      `peer ${to}: its response is not signed with the cluster secret`,
    );
  }
  return keys.connection({ from, to, fromNonce, toNonce });
}
