/**
 * Parses the header of the PROXY protocol, versions 1 and 2 (haproxy.org, "The PROXY protocol"): a reverse proxy sends it
 * before the first byte of a connection, TLS included, to report the client's address.
 */
import net from "node:net";
import { MAX_PROXY_HEADER_BYTES } from "../limits.ts";
import { canonicalAddress } from "./addresses.ts";

/** Origin of a connection. */
export interface ProxyHeader {
  /** The client's address. Undefined where the header has none (`UNKNOWN`, a Unix socket, a health check). */
  address: string | undefined;
  /** Whether the client's connection to the proxy is TLS. Undefined where the header does not tell. */
  isSecure: boolean | undefined;
}

export type ProxyHeaderResult =
  | { kind: "incomplete" }
  /** The bytes are not a PROXY header. */
  | { kind: "none" }
  | { kind: "invalid"; reason: string }
  | { kind: "header"; length: number; header: ProxyHeader };

const V1 = Buffer.from("PROXY ");
const V2 = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
/** Longest line of version 1, CRLF included. */
const V1_MAX_BYTES = 107;
const V2_FIXED_BYTES = 16;
/** Bytes of source and destination, by version 2's address family. */
const ADDRESS_BYTES: Readonly<Record<number, number>> = { 0: 0, 1: 12, 2: 36, 3: 216 };
const TLV_HEAD_BYTES = 3;
const TLV_SSL = 0x20;
const SSL_CLIENT_BIT = 0x01;
const SSL_FIXED_BYTES = 5;

/** @param bytes first bytes of a connection, as far as they have arrived */
export function parseProxyHeader(bytes: Buffer): ProxyHeaderResult {
  for (const [signature, parse] of [
    [V1, parseV1],
    [V2, parseV2],
  ] as const) {
    const length = Math.min(bytes.length, signature.length);
    if (!bytes.subarray(0, length).equals(signature.subarray(0, length))) continue;
    return length < signature.length ? { kind: "incomplete" } : parse(bytes);
  }
  return { kind: "none" };
}

/** `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n` */
function parseV1(bytes: Buffer): ProxyHeaderResult {
  const line = bytes.subarray(0, V1_MAX_BYTES).toString("latin1");
  const end = line.indexOf("\r\n");
  if (end < 0) {
    return bytes.length < V1_MAX_BYTES ? { kind: "incomplete" } : invalid("version 1: the line is too long");
  }
  const length = end + 2;
  const [, family, ...fields] = line.slice(0, end).split(" ");
  if (family === "UNKNOWN") return header(length, undefined);
  const isAddress = family === "TCP4" ? net.isIPv4 : family === "TCP6" ? net.isIPv6 : undefined;
  const [source = "", destination = "", ...ports] = fields;
  if (isAddress === undefined) return invalid("version 1: not TCP4, TCP6 or UNKNOWN");
  const isValid = isAddress(source) && isAddress(destination) && ports.length === 2 && ports.every(isPort);
  return isValid ? header(length, canonicalAddress(source)) : invalid("version 1: malformed addresses");
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function parseV2(bytes: Buffer): ProxyHeaderResult {
  if (bytes.length < V2_FIXED_BYTES) return { kind: "incomplete" };
  const command = bytes.readUInt8(12);
  const family = bytes.readUInt8(13);
  const length = V2_FIXED_BYTES + bytes.readUInt16BE(14);
  if (command >> 4 !== 2) return invalid("version 2: another version in the header");
  if ((command & 0x0f) > 1) return invalid("version 2: a command other than LOCAL and PROXY");
  if (length > MAX_PROXY_HEADER_BYTES)
    return invalid(`version 2: ${length} bytes, above the limit of ${MAX_PROXY_HEADER_BYTES}`);
  if (bytes.length < length) return { kind: "incomplete" };
  if ((command & 0x0f) === 0) return header(length, undefined); // LOCAL: the rest is to be skipped
  const addressBytes = ADDRESS_BYTES[family >> 4];
  if (addressBytes === undefined) return invalid("version 2: unknown address family");
  if (addressBytes > 0 && (family & 0x0f) !== 1) return invalid("version 2: a transport other than a stream");
  const body = bytes.subarray(V2_FIXED_BYTES, length);
  if (body.length < addressBytes) return invalid("version 2: the addresses are cut short");
  const isSecure = secureOf(body.subarray(addressBytes));
  if (isSecure === "malformed") return invalid("version 2: malformed TLVs");
  return header(length, sourceOf(body, family >> 4), isSecure);
}

function sourceOf(body: Buffer, family: number): string | undefined {
  if (family === 1) return body.subarray(0, 4).join(".");
  if (family !== 2) return undefined;
  const groups = Array.from({ length: 8 }, (_, i) => body.readUInt16BE(2 * i).toString(16));
  return canonicalAddress(groups.join(":"));
}

/** From the TLV `PP2_TYPE_SSL`; undefined without one. */
function secureOf(tlvs: Buffer): boolean | undefined | "malformed" {
  let isSecure: boolean | undefined;
  for (let at = 0; at < tlvs.length;) {
    if (at + TLV_HEAD_BYTES > tlvs.length) return "malformed";
    const length = tlvs.readUInt16BE(at + 1);
    const value = tlvs.subarray(at + TLV_HEAD_BYTES, at + TLV_HEAD_BYTES + length);
    if (value.length < length) return "malformed";
    if (tlvs.readUInt8(at) === TLV_SSL) {
      if (length < SSL_FIXED_BYTES) return "malformed";
      isSecure = (value.readUInt8(0) & SSL_CLIENT_BIT) !== 0;
    }
    at += TLV_HEAD_BYTES + length;
  }
  return isSecure;
}

function invalid(reason: string): ProxyHeaderResult {
  return { kind: "invalid", reason };
}

function header(length: number, address: string | undefined, isSecure?: boolean): ProxyHeaderResult {
  return { kind: "header", length, header: { address, isSecure } };
}
