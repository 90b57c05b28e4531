/**
 * Identity by client certificate, on `rh2` carriers: the runner ids that the certificate names, as its common name, as
 * DNS names (`web-us-1`, `web-*`) or as URIs (`urn:turnabout:runner:web-us-1`).
 */
import type { X509Certificate } from "node:crypto";
import { createIdentity } from "./identity.ts";
import type { Identity } from "./identity.ts";

export const RUNNER_URN = "urn:turnabout:runner:";

/** Undefined if the certificate names no runner. */
export function certificateIdentity(certificate: X509Certificate): Identity | undefined {
  const commonName = /^CN=(.+)$/m.exec(certificate.subject)?.[1];
  const names = (certificate.subjectAltName ?? "").split(", ").flatMap((entry) => {
    const name = /^(?:DNS|URI):"?([^"]+)"?$/.exec(entry)?.[1];
    return name === undefined ? [] : [name.startsWith(RUNNER_URN) ? name.slice(RUNNER_URN.length) : name];
  });
  const runners = commonName === undefined ? names : [commonName, ...names];
  if (runners.length === 0) return undefined;
  // Named after its subject and not after its key: a renewed certificate is the same credential.
  const id = `certificate:${commonName ?? names.join(",")}`;
  return createIdentity(id, certificate.fingerprint256, { kind: "runner", runners });
}
