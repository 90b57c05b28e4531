/** The reply subject of a message, with and without a domain, and everything that is not one. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { positionOf } from "./message-position.ts";

describe("the position of a message", () => {
  const expected = { revision: 17, delivered: 3, pending: 0 };

  it("is read from the reply subject, with and without a domain", () => {
    assert.deepEqual(positionOf("$JS.ACK.KV_x.watch_1.1.17.3.1700000000000000000.0"), expected);
    assert.deepEqual(positionOf("$JS.ACK._.hash.KV_x.watch_1.1.17.3.1700000000000000000.0"), expected);
    assert.deepEqual(positionOf("$JS.ACK._.hash.KV_x.watch_1.1.17.3.1700000000000000000.0.token"), expected);
  });

  it("is undefined for any other text", () => {
    const others = [
      undefined,
      "",
      "_INBOX.a.b",
      "$JS.FC.x.y",
      "$JS.ACK.KV_x.w.1.a.3.17.0",
      "$JS.ACK.KV_x.w.1.17.3",
    ];
    for (const other of others) assert.equal(positionOf(other), undefined);
  });
});
