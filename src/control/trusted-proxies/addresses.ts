/** IP addresses as text: their canonical spelling, and sets of them. */
import net from "node:net";
import { TurnaboutError } from "../../wire/errors.ts";

/**
 * The canonical spelling of an address: IPv4-mapped IPv6 becomes IPv4, a zone is removed, IPv6 is as in RFC 5952.
 * Undefined if the text is not an address.
 */
export function canonicalAddress(text: string): string | undefined {
  const [address = ""] = text.split("%", 1);
  if (net.isIPv4(address)) return address;
  if (!net.isIPv6(address)) return undefined;
  const canonical = new net.SocketAddress({ address, family: "ipv6" }).address;
  return canonical.replace(/^::ffff:(?=\d+\.)/i, "");
}

/** A set of addresses and CIDR blocks, IPv4 and IPv6. */
export class AddressSet {
  readonly #list = new net.BlockList();
  readonly #isEmpty: boolean;

  /** @param what its entries are, for the error. @throws TurnaboutError `config_invalid` */
  constructor(entries: readonly string[], what = "trusted proxy") {
    this.#isEmpty = entries.length === 0;
    for (const entry of entries) this.#add(entry, what);
  }

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** @param address in any spelling; false if it is not an address */
  has(address: string): boolean {
    if (this.#isEmpty) return false;
    const canonical = canonicalAddress(address);
    return canonical !== undefined && this.#list.check(canonical, net.isIPv4(canonical) ? "ipv4" : "ipv6");
  }

  #add(entry: string, what: string): void {
    const [, address = "", bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
    const canonical = canonicalAddress(address);
    if (canonical === undefined) throw invalid(entry, what);
    const isIPv4 = net.isIPv4(canonical);
    const mapped = isIPv4 && net.isIPv6(address) ? 96 : 0;
    const maxPrefix = isIPv4 ? 32 : 128;
    const prefix = bits === undefined ? maxPrefix : Number(bits) - mapped;
    if (prefix < 0 || prefix > maxPrefix) throw invalid(entry, what);
    this.#list.addSubnet(canonical, prefix, isIPv4 ? "ipv4" : "ipv6");
  }
}

function invalid(entry: string, what: string): TurnaboutError {
  return new TurnaboutError(
    "config_invalid",
    `${what} ${JSON.stringify(entry)}: use an address or a block, 192.0.2.1, 172.19.0.0/16, 2001:db8::/64`,
  );
}
