/** Keys from the cluster secret, one for each purpose (HKDF, RFC 5869), and their comparison. */
import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_SECRET_LENGTH, MIN_SECRET_LENGTH } from "./limits.ts";

const KEY_BYTES = 32;

/** Texts of a message that is authenticated. None contains a line feed. */
type Texts = readonly string[];

/** HMAC-SHA256 of texts, in base64url. */
export class MacKey {
  readonly #key: Buffer;

  constructor(key: Buffer) {
    this.#key = key;
  }

  /** @param label of the kind of message: one is never taken for another */
  mac(label: string, texts: Texts): string {
    return createHmac("sha256", this.#key)
      .update([label, ...texts.map((text) => `${Buffer.byteLength(text)}:${text}`)].join("\n"))
      .digest("base64url");
  }

  /** In constant time. */
  verify(given: string, label: string, texts: Texts): boolean {
    const expected = Buffer.from(this.mac(label, texts));
    const actual = Buffer.from(given);
    return actual.length === expected.length && timingSafeEqual(actual, expected);
  }
}

/** What both ends of a connection have sent in its handshake. */
export interface ConnectionNonces {
  /** Ids of the node that has dialled, and of the other one. */
  from: string;
  to: string;
  /** Of each, random. */
  fromNonce: string;
  toNonce: string;
}

export class ClusterKeys {
  readonly #secret: Buffer;
  /** For the handshake of every connection. */
  readonly handshake: MacKey;

  /** @throws TurnaboutError `config_invalid` */
  constructor(secret: string) {
    const text = secret.trim();
    if (text.length < MIN_SECRET_LENGTH || text.length > MAX_SECRET_LENGTH) {
      throw new TurnaboutError(
        "config_invalid",
        `cluster secret: use ${MIN_SECRET_LENGTH} to ${MAX_SECRET_LENGTH} random characters`,
        { hint: "make one with: openssl rand -hex 32" },
      );
    }
    this.#secret = Buffer.from(text);
    this.handshake = this.#derive("", "turnabout-peer 1 handshake");
  }

  /** For the requests on one connection: no other connection has this key. */
  connection({ from, to, fromNonce, toNonce }: ConnectionNonces): MacKey {
    return this.#derive(`${fromNonce}${toNonce}`, `turnabout-peer 1 requests ${from} ${to}`);
  }

  #derive(salt: string, info: string): MacKey {
    return new MacKey(Buffer.from(hkdfSync("sha256", this.#secret, salt, info, KEY_BYTES)));
  }
}
