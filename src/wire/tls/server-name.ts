/** The name of a TLS server, for SNI and for the check of its certificate. */
import net from "node:net";
import { domainToASCII } from "node:url";

/**
 * The host as a certificate has it: an internationalised name in ASCII form, without a trailing dot; an address without its
 * zone.
 */
export function certificateName(host: string): string {
  if (host.includes(":")) return host.replace(/%.*$/, "");
  const name = host.replace(/\.$/, "");
  return domainToASCII(name) || name;
}

/** Value for SNI (RFC 6066 §3): a DNS name without its trailing dot, never an address; empty if there is none. */
export function sniName(host: string): string {
  const name = certificateName(host);
  return net.isIP(name) === 0 ? name : "";
}
