/**
 * Who holds a share: a credential, or a client address where there is none. All credentials of one user are one holder, and
 * so are all addresses of one IPv6 network.
 */
import net from "node:net";
import { canonicalAddress } from "../trusted-proxies/addresses.ts";

/** This process itself: the library's own dials are not bounded. */
export const SELF = "";

const OPERATOR = "admin ";

interface Credential {
  readonly id: string;
  readonly kind: string;
  readonly owner: string | undefined;
}

/** Joined once for each credential: it is a key, looked up several times for each request. */
const holders = new WeakMap<Credential, string>();

/** Its text has the ids of credentials only, never a secret. */
export function credentialHolder(credential: Credential): string {
  const known = holders.get(credential);
  if (known !== undefined) return known;
  const { id, kind, owner } = credential;
  const holder = `${kind} ${owner ?? id}`;
  holders.set(credential, holder);
  return holder;
}

/** Its agents, which are others' than its callers. */
export function agentHolder({ id }: Pick<Credential, "id">): string {
  return `agents ${id}`;
}

/** One credential of an operator may stand for many users. */
export function isOperator(holder: string): boolean {
  return holder.startsWith(OPERATOR);
}

/** @param address of the client, as trusted proxies report it */
export function addressHolder(address: string): string {
  const canonical = canonicalAddress(address);
  if (canonical === undefined) return address;
  return net.isIPv4(canonical) ? canonical : network(canonical);
}

/** The /64 of an IPv6 address: what one customer gets, who may use any address in it. */
function network(address: string): string {
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  const isMixed = rest.at(-1)?.includes(".") === true;
  const missing = tail === undefined ? 0 : 8 - groups.length - rest.length - (isMixed ? 1 : 0);
  const all = [...groups, ...Array.from({ length: missing }, () => "0"), ...rest];
  return `${all.slice(0, 4).join(":")}::/64`;
}
