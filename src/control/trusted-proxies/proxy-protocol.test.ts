import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { MAX_PROXY_HEADER_BYTES } from "../limits.ts";
import { parseProxyHeader } from "./proxy-protocol.ts";

const SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");

function v2(command: number, family: number, body: Buffer, length = body.length): Buffer {
  const fixed = Buffer.from([command, family, length >> 8, length & 0xff]);
  return Buffer.concat([SIGNATURE, fixed, body]);
}

const IPV4 = Buffer.from([192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 4, 1, 0xbb]);
const IPV6 = Buffer.from(`20010db8${"0".repeat(23)}1${"0".repeat(30)}01dc0401bb`, "hex");
const TLV_ALPN = Buffer.from([0x01, 0, 2, 0x68, 0x32]);
const tlvSsl = (client: number): Buffer => Buffer.from([0x20, 0, 5, client, 0, 0, 0, 0]);

/** The address in the header, `-` without one, or the kind of the failure. */
function parsed(bytes: Buffer): string {
  const found = parseProxyHeader(Buffer.concat([bytes, Buffer.from("GET")]));
  if (found.kind !== "header") return found.kind;
  assert.equal(found.length, bytes.length);
  const { address = "-", isSecure } = found.header;
  return isSecure === undefined ? address : `${address} ${isSecure ? "secure" : "plain"}`;
}

describe("a PROXY header", () => {
  for (const [line, expected] of [
    ["PROXY TCP4 192.0.2.1 198.51.100.1 56324 443", "192.0.2.1"],
    ["PROXY TCP6 2001:db8::1 2001:db8::2 0 65535", "2001:db8::1"],
    ["PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2", "192.0.2.1"],
    ["PROXY UNKNOWN", "-"],
    ["PROXY UNKNOWN 192.0.2.1 198.51.100.1 1 2", "-"],
    ["PROXY TCP4 192.0.2.1 198.51.100.1 56324", "invalid"],
    ["PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 ", "invalid"],
    ["PROXY TCP4 192.0.2.1  198.51.100.1 56324 443", "invalid"],
    ["PROXY TCP4 192.0.2.1 198.51.100.1 056324 443", "invalid"],
    ["PROXY TCP4 192.0.2.1 198.51.100.1 70000 443", "invalid"],
    ["PROXY TCP4 192.0.2.256 198.51.100.1 1 2", "invalid"],
    ["PROXY TCP4 2001:db8::1 2001:db8::2 1 2", "invalid"],
    ["PROXY TCP6 192.0.2.1 198.51.100.1 1 2", "invalid"],
    ["PROXY TCP5 192.0.2.1 198.51.100.1 1 2", "invalid"],
    ["PROXY tcp4 192.0.2.1 198.51.100.1 1 2", "invalid"],
    ["PROXY ", "invalid"],
    [`PROXY UNKNOWN ${"x".repeat(91)}`, "-"],
    [`PROXY UNKNOWN ${"x".repeat(92)}`, "invalid"],
    ["proxy TCP4 192.0.2.1 198.51.100.1 56324 443", "none"],
    ["PROXIES", "none"],
  ] as const) {
    it(`of version 1: ${JSON.stringify(line)} is ${expected}`, () => {
      assert.equal(parsed(Buffer.from(`${line}\r\n`)), expected);
    });
  }

  for (const [what, bytes, expected] of [
    ["TCP over IPv4", v2(0x21, 0x11, IPV4), "192.0.2.1"],
    ["TCP over IPv6", v2(0x21, 0x21, IPV6), "2001:db8::1"],
    ["a Unix socket", v2(0x21, 0x31, Buffer.alloc(216)), "-"],
    ["UNSPEC", v2(0x21, 0x00, Buffer.alloc(0)), "-"],
    ["LOCAL", v2(0x20, 0x00, Buffer.alloc(0)), "-"],
    ["LOCAL with addresses to skip", v2(0x20, 0x11, IPV4), "-"],
    ["a TLV that is not used", v2(0x21, 0x11, Buffer.concat([IPV4, TLV_ALPN])), "192.0.2.1"],
    ["TLS at the proxy", v2(0x21, 0x11, Buffer.concat([IPV4, TLV_ALPN, tlvSsl(1)])), "192.0.2.1 secure"],
    ["no TLS at the proxy", v2(0x21, 0x21, Buffer.concat([IPV6, tlvSsl(0)])), "2001:db8::1 plain"],
    ["another version", v2(0x31, 0x11, IPV4), "invalid"],
    ["another command", v2(0x22, 0x11, IPV4), "invalid"],
    ["UDP", v2(0x21, 0x12, IPV4), "invalid"],
    ["an unknown family", v2(0x21, 0x41, IPV4), "invalid"],
    ["truncated addresses", v2(0x21, 0x11, IPV4.subarray(0, 11)), "invalid"],
    ["a truncated TLV", v2(0x21, 0x11, Buffer.concat([IPV4, Buffer.from([1, 0, 9, 1])])), "invalid"],
    ["half a TLV", v2(0x21, 0x11, Buffer.concat([IPV4, Buffer.from([1, 0])])), "invalid"],
    ["more than its bound", v2(0x21, 0x11, IPV4, MAX_PROXY_HEADER_BYTES - 15), "invalid"],
  ] as const) {
    it(`of version 2: ${what} is ${expected}`, () => assert.equal(parsed(bytes), expected));
  }

  it("is incomplete at every length short of its own", () => {
    for (const whole of [
      Buffer.from("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n"),
      v2(0x21, 0x21, Buffer.concat([IPV6, tlvSsl(1)])),
    ]) {
      for (let length = 0; length < whole.length; length += 1)
        assert.equal(parseProxyHeader(whole.subarray(0, length)).kind, "incomplete");
      assert.equal(parseProxyHeader(whole).kind, "header");
    }
  });

  it("of any bytes is decided within its bound, and never throws", () => {
    const start = fc.constantFrom(
      Buffer.from("PROXY "),
      Buffer.from("PROXY TCP4 "),
      SIGNATURE,
      Buffer.alloc(0),
    );
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (head, tail) => {
        const bytes = Buffer.concat([head, tail, Buffer.alloc(MAX_PROXY_HEADER_BYTES)]);
        const found = parseProxyHeader(bytes);
        assert.notEqual(found.kind, "incomplete");
        if (found.kind === "header") assert.ok(found.length <= MAX_PROXY_HEADER_BYTES);
      }),
    );
  });

  it("has the address that was written into it", () => {
    // The specification's longest line has addresses of 39 characters: none with a dotted end (RFC 5952 §5) in full.
    const ipV6 = fc.ipV6().filter((address) => address.length <= 39);
    fc.assert(
      fc.property(fc.ipV4(), ipV6, fc.nat(65_535), (ipv4, ipv6, port) => {
        assert.equal(parsed(Buffer.from(`PROXY TCP4 ${ipv4} ${ipv4} ${port} ${port}\r\n`)), ipv4);
        assert.notEqual(parsed(Buffer.from(`PROXY TCP6 ${ipv6} ${ipv6} ${port} ${port}\r\n`)), "invalid");
        const body = Buffer.from([...ipv4.split(".").map(Number), ...IPV4.subarray(4)]);
        assert.equal(parsed(v2(0x21, 0x11, body)), ipv4);
      }),
    );
  });
});
