/** A throw-away public key infrastructure in memory, by the authority of `npm run certs`: no file, no key in the repository. */
import { Authority } from "../../certs/authority.ts";
import type { Credential, LeafRequest } from "../../certs/authority.ts";
import { DAY_MS } from "../../certs/lifetimes.ts";

export type { Credential } from "../../certs/authority.ts";

/** Dates default to yesterday and tomorrow. */
export type CertificateRequest = Omit<LeafRequest, "notAfter"> & { notAfter?: Date };

export interface Pki {
  /** PEM of the authority's certificate: what a peer has to trust. */
  readonly ca: string;
  issue(request: CertificateRequest): Promise<Credential>;
  /** PEM of a list with these serials. */
  revocationList(...serials: string[]): Promise<string>;
}

/** A certificate authority that issues for as long as the test holds it. ECDSA P-256. */
export async function createPki(commonName = "Turnabout test CA"): Promise<Pki> {
  const authority = await Authority.create(commonName, 30);
  return {
    ca: authority.cert,
    issue: (request) =>
      authority.issue({
        notBefore: new Date(Date.now() - DAY_MS),
        notAfter: new Date(Date.now() + DAY_MS),
        ...request,
      }),
    revocationList: (...serials) =>
      authority.revocationList(serials.map((serial) => ({ serial, at: new Date() }))),
  };
}

/** A server certificate for `localhost`, `127.0.0.1` and `::1`. */
export function issueServer(pki: Pki): Promise<Credential> {
  return pki.issue({ commonName: "localhost", dns: ["localhost"], ip: ["127.0.0.1", "::1"] });
}
