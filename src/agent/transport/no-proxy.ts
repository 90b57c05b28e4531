/**
 * `NO_PROXY` by the rules of Go's golang.org/x/net/http/httpproxy, because other clients on an agent's host follow them:
 * addresses, CIDR blocks, names with their subdomains, and `*`. All but blocks may have a port.
 */
import net from "node:net";
import { domainToASCII } from "node:url";

interface Entry {
  port: number | undefined;
  matches(host: string): boolean;
}

/** Hosts that are never reached through a proxy. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || (net.isIP(host) !== 0 && LOOPBACK.check(host, familyOf(host)));
}

/**
 * @param value of the variable: entries with commas or white space between them
 * @param host without brackets, zone and trailing dot, in lower case
 */
export function bypassesProxy(value: string, host: string, port: number): boolean {
  for (const text of value.toLowerCase().split(/[\s,]+/)) {
    if (text === "*") return true;
    const entry = parseEntry(text);
    if (entry?.matches(host) === true && (entry.port === undefined || entry.port === port)) return true;
  }
  return false;
}

const LOOPBACK = new net.BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Undefined for text that is not an entry. */
function parseEntry(text: string): Entry | undefined {
  const block = /^([0-9a-f:.]+)\/(\d{1,3})$/.exec(text);
  if (block !== null) return parseBlock(block[1] ?? "", Number(block[2]));
  if (net.isIPv6(text)) return addressEntry(text, undefined);
  const [, bracketed, name = "", digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? name;
  const port = digits === undefined ? undefined : Number(digits);
  if (net.isIP(host) !== 0) return addressEntry(host, port);
  return bracketed === undefined && host !== "" ? nameEntry(host, port) : undefined;
}

function parseBlock(address: string, prefix: number): Entry | undefined {
  if (net.isIP(address) === 0 || prefix > (net.isIPv4(address) ? 32 : 128)) return undefined;
  const block = new net.BlockList();
  block.addSubnet(address, prefix, familyOf(address));
  return { port: undefined, matches: (host) => isIn(block, host) };
}

function addressEntry(address: string, port: number | undefined): Entry {
  const [plain = ""] = address.split("%", 1);
  const block = new net.BlockList();
  block.addAddress(plain, familyOf(plain));
  return { port, matches: (host) => isIn(block, host) };
}

/** `example.com` is the name and its subdomains; `.example.com` and `*.example.com` are only its subdomains. */
function nameEntry(text: string, port: number | undefined): Entry {
  const isBelowOnly = /^\*?\./.test(text);
  const name = text.replace(/^\*?\./, "").replace(/\.$/, "");
  const ascii = domainToASCII(name) || name;
  return {
    port,
    matches: (host) =>
      net.isIP(host) === 0 &&
      ascii !== "" &&
      (host.endsWith(`.${ascii}`) || (host === ascii && !isBelowOnly)),
  };
}

function isIn(block: net.BlockList, host: string): boolean {
  return net.isIP(host) !== 0 && block.check(host, familyOf(host));
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return net.isIPv4(address) ? "ipv4" : "ipv6";
}
