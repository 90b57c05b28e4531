import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endToEndHeaders, headerListBytes, headerListPairs } from "./http-fields.ts";

describe("fields of one hop", () => {
  it("do not cross to the next, nor those that Connection nominates", () => {
    const fields = endToEndHeaders({
      ":authority": "wolf.wolf-1",
      connection: "Upgrade, X-Hop",
      upgrade: "websocket",
      "x-hop": "1",
      te: "trailers",
      "transfer-encoding": "chunked",
      "keep-alive": "timeout=5",
      "proxy-authorization": "secret",
      "set-cookie": ["a=1", "b=2"],
      accept: "*/*",
    });
    assert.deepEqual(fields, { "set-cookie": ["a=1", "b=2"], accept: "*/*" });
  });
});

describe("the size of a header list", () => {
  it("counts 32 bytes for each field besides its text (RFC 9113 §6.5.2), and each value of a name", () => {
    assert.equal(headerListBytes({ a: "12", b: ["3", "45"], c: 6 }), 3 + 2 + 32 + (2 + 3 + 64 - 1) + 32 + 1);
    assert.equal(headerListPairs({ a: "12", b: ["3", "45"], c: 6 }), 4);
  });
});
