/** The name of a TLS server, as SNI may carry it and as its certificate is checked for. */
import net from "node:net";
import { domainToASCII } from "node:url";

/**
 * Host as a certificate names it: an internationalised name in its ASCII form, without the dot that ends an absolute
 * name, an address without its zone.
 */
export function certificateName(host: string): string {
  if (host.includes(":")) return host.replace(/%.*$/, "");
  const name = host.replace(/\.$/, "");
  return domainToASCII(name) || name;
}

/** Value for SNI (RFC 6066 §3): a DNS name without its trailing dot, never an address; empty where there is none. */
export function sniName(host: string): string {
  const name = certificateName(host);
  return net.isIP(name) === 0 ? name : "";
}
