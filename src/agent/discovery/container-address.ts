/**
 * Which addresses a container can have. An engine's word is not believed: it could name this host, its link, or a cloud's
 * metadata service, which trusts whoever can reach it.
 */
import { BlockList, isIP } from "node:net";

/** Addresses and networks that are no container's (RFC 6890), by what they are. */
const OTHERS: readonly [what: string, networks: readonly string[]][] = [
  ["this host's", ["127.0.0.0/8", "::1/128"]],
  ["no host's", ["0.0.0.0/8", "240.0.0.0/4", "::/96"]],
  ["of the link", ["169.254.0.0/16", "fe80::/10"]],
  ["a group's", ["224.0.0.0/4", "ff00::/8"]],
  ["an IPv4 address as IPv6", ["::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"]],
  ["a metadata service's", ["fd00:ec2::254/128", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.0/24"]],
];

type Family = "ipv4" | "ipv6";

/** A list for each family: BlockList takes an IPv4 address for the same one as IPv6. */
const BLOCKED: readonly { what: string; family: Family; list: BlockList }[] = OTHERS.flatMap(
  ([what, networks]) =>
    (["ipv4", "ipv6"] as const).map((family) => ({ what, family, list: blockList(networks, family) })),
);

function blockList(networks: readonly string[], family: Family): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", prefix] = network.split("/");
    if (familyOf(address) === family) list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

/** Undefined if it is not an IP address. */
function familyOf(address: string): Family | undefined {
  const family = isIP(address);
  if (family === 0) return undefined;
  return family === 4 ? "ipv4" : "ipv6";
}

/** Why this cannot be a container's address; undefined if it can. */
export function addressProblem(address: string): string | undefined {
  const own = familyOf(address);
  if (own === undefined || address.includes("%")) return "it is not an IP address";
  const blocked = BLOCKED.find(({ family, list }) => family === own && list.check(address, family));
  return blocked === undefined ? undefined : `it is ${blocked.what}`;
}
