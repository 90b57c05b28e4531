/** The names and purposes of a certificate: read, compared with a request, and joined. */
import type { X509Certificate } from "node:crypto";
import net from "node:net";
import type { LeafRequest } from "./authority.ts";

export type Names = Pick<LeafRequest, "commonName" | "dns" | "ip" | "uri" | "purposes">;

/** The names in a certificate, as a request for the next one. */
export function namesOf(certificate: X509Certificate): Names {
  const names = { dns: [] as string[], ip: [] as string[], uri: [] as string[] };
  for (const entry of (certificate.subjectAltName ?? "").split(", ")) {
    const [, kind, value = ""] = /^(DNS|IP Address|URI):"?([^"]*)"?$/.exec(entry) ?? [];
    if (kind === "DNS") names.dns.push(value);
    if (kind === "IP Address") names.ip.push(plainName(value));
    if (kind === "URI") names.uri.push(value);
  }
  const usages = certificate.keyUsage ?? [];
  return {
    commonName: /^CN=(.+)$/m.exec(certificate.subject)?.[1] ?? "",
    ...names,
    purposes: [
      ...(usages.includes("1.3.6.1.5.5.7.3.1") ? ["server" as const] : []),
      ...(usages.includes("1.3.6.1.5.5.7.3.2") ? ["client" as const] : []),
    ],
  };
}

/** The certificate has all of these names and purposes. */
export function covers(certificate: X509Certificate, wanted: Names): boolean {
  const has = namesOf(certificate);
  const all = (there: readonly string[] = [], want: readonly string[] = []) =>
    want.every((name) => there.some((other) => plainName(other) === plainName(name)));
  return (
    has.commonName === wanted.commonName &&
    all(has.dns, wanted.dns) &&
    all(has.ip, wanted.ip) &&
    all(has.uri, wanted.uri) &&
    all(has.purposes, wanted.purposes)
  );
}

/** IPv6 addresses in their short form: OpenSSL prints `0:0:0:0:0:0:0:1`, and users write all of them. */
export function plainName(name: string): string {
  if (!net.isIPv6(name)) return name;
  return URL.parse(`http://[${name}]/`)?.hostname.slice(1, -1) ?? name;
}

/** The names of a certificate and the requested ones, each once. */
export function union(has: Names, wanted: Names): Names {
  const both = (left: readonly string[] = [], right: readonly string[] = []) => {
    const known = new Set(left.map(plainName));
    return [...left, ...right.filter((name) => !known.has(plainName(name)))];
  };
  return {
    commonName: wanted.commonName,
    dns: both(has.dns, wanted.dns),
    ip: both(has.ip, wanted.ip),
    uri: both(has.uri, wanted.uri),
    ...(wanted.purposes !== undefined && { purposes: wanted.purposes }),
  };
}
