import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { TurnaboutError } from "../../wire/errors.ts";
import { AddressSet, canonicalAddress } from "./addresses.ts";
import { readForwarded } from "./forwarded.ts";

const trusted = new AddressSet(["10.0.0.0/8", "2001:db8:f::/48"]);
const isTrusted = (address: string): boolean => trusted.has(address);

function x(field: string): string | undefined {
  return readForwarded({ "x-forwarded-for": field }, "x-forwarded", isTrusted).address;
}

describe("X-Forwarded-For", () => {
  for (const [field, address] of [
    ["203.0.113.9", "203.0.113.9"],
    ["6.6.6.6, 203.0.113.9", "203.0.113.9"],
    ["6.6.6.6, 203.0.113.9, 10.1.1.1, 10.2.2.2", "203.0.113.9"],
    ["6.6.6.6,203.0.113.9,2001:db8:f::1", "203.0.113.9"],
    ["10.3.3.3, 10.1.1.1", "10.3.3.3"],
    ["203.0.113.9:4711", "203.0.113.9"],
    ["2001:DB8::0:9", "2001:db8::9"],
    ["[2001:db8::9]:4711", "2001:db8::9"],
    ["::ffff:203.0.113.9", "203.0.113.9"],
    ["fe80::9%eth0", "fe80::9"],
    ["[fe80::9%br-1a2b]:4711", "fe80::9"],
    ["203.0.113.9, [2001:db8:f::1%en_0]", "203.0.113.9"],
    ["6.6.6.6, unknown, 10.1.1.1", "10.1.1.1"],
    ["6.6.6.6, , 10.1.1.1", "10.1.1.1"],
    ["6.6.6.6, nonsense", undefined],
    ["", undefined],
  ] as const) {
    it(`${JSON.stringify(field)} is of ${address}`, () => assert.equal(x(field), address));
  }

  it("is searched over a bounded number of proxies", () => {
    assert.equal(x(`6.6.6.6${", 10.1.1.1".repeat(31)}`), "6.6.6.6");
    assert.equal(x(`6.6.6.6${", 10.1.1.1".repeat(32)}`), "10.1.1.1");
  });

  it("of any text results in an address or nothing", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string())), (items) => {
        const address = x(items.join(","));
        assert.ok(address === undefined || canonicalAddress(address) === address);
      }),
    );
  });
});

describe("Forwarded", () => {
  for (const [field, address, scheme, host] of [
    ["for=203.0.113.9;proto=https;host=cp.example", "203.0.113.9", "https", "cp.example"],
    [
      'for=6.6.6.6;host=evil, for="203.0.113.9:80";host=a, for=10.1.1.1;host=b',
      "203.0.113.9",
      undefined,
      "a",
    ],
    ['For="[2001:db8::9]:4711";Proto=HTTP', "2001:db8::9", "http", undefined],
    ["for=6.6.6.6, for=_hidden;proto=https", undefined, undefined, undefined],
    ["for=6.6.6.6, for=unknown, for=10.1.1.1;proto=https", "10.1.1.1", "https", undefined],
    ['for=203.0.113.9;host="a b"', "203.0.113.9", undefined, undefined],
    ["for=203.0.113.9;;", undefined, undefined, undefined],
    ["nonsense", undefined, undefined, undefined],
  ] as const) {
    it(`${field} is of ${address}`, () => {
      const info = readForwarded({ forwarded: field, "x-forwarded-for": "6.6.6.6" }, "forwarded", isTrusted);
      assert.deepEqual(info, { address, scheme, host, prefix: undefined });
    });
  }

  it("is ignored where the proxies write X-Forwarded-*", () => {
    const headers = { forwarded: "for=6.6.6.6", "x-forwarded-for": "203.0.113.9" };
    assert.equal(readForwarded(headers, "x-forwarded", isTrusted).address, "203.0.113.9");
  });
});

describe("X-Forwarded-Prefix", () => {
  const read = (field: string | string[], fields: "x-forwarded" | "forwarded" = "x-forwarded") =>
    readForwarded({ "x-forwarded-prefix": field }, fields, isTrusted).prefix;

  for (const [field, prefix] of [
    ["/tunnel", "/tunnel"],
    ["/tunnel/", "/tunnel"],
    ["/a/b-c_d.e~f", "/a/b-c_d.e~f"],
    ["/outer, /inner/", "/outer/inner"],
    ["/outer,, /", "/outer"],
    ["", undefined],
    ["/", undefined],
    ["tunnel", undefined],
    ["//evil.example", undefined],
    ["/a//b", undefined],
    ["/a/../b", undefined],
    ["/.", undefined],
    ["/a?b", undefined],
    ["/a b", undefined],
    ["/%2f", undefined],
    ["/a\\b", undefined],
    ["https://evil.example", undefined],
    [`/${"a".repeat(255)}`, `/${"a".repeat(255)}`],
    [`/${"a".repeat(256)}`, undefined],
  ] as const) {
    it(`${JSON.stringify(field).slice(0, 40)} is ${prefix?.slice(0, 40)}`, () => {
      assert.equal(read(field), prefix);
    });
  }

  it("joins the parts of all proxies, the outermost first", () => {
    assert.equal(read(["/outer", "/inner"]), "/outer/inner");
  });

  it("is ignored where the proxies write Forwarded", () => {
    assert.equal(read("/tunnel", "forwarded"), undefined);
  });
});

describe("trusted proxies", () => {
  it("are addresses and blocks in any spelling", () => {
    const set = new AddressSet(["192.0.2.1", "::ffff:172.19.0.0/112", "fd00::/8", "2001:db8::1"]);
    for (const address of ["192.0.2.1", "::ffff:192.0.2.1", "172.19.255.255", "fd12::1", "2001:db8:0::1"])
      assert.ok(set.has(address), address);
    for (const address of ["192.0.2.2", "172.20.0.0", "fe80::1", "2001:db8::2", "", "unknown"])
      assert.ok(!set.has(address), address);
  });

  for (const entry of [
    "",
    "localhost",
    "10.0.0.0/33",
    "10.0.0/8",
    "::/129",
    "::ffff:10.0.0.0/95",
    "1.2.3.4/",
  ]) {
    it(`are not ${JSON.stringify(entry)}`, () => {
      assert.throws(
        () => new AddressSet([entry]),
        (error) => (error as TurnaboutError).code === "config_invalid",
      );
    });
  }
});
