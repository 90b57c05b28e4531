/** Decides which client certificates are valid now: signed by a client CA, within their dates, and not revoked. */
import type { X509Certificate } from "node:crypto";
import { dateProblem, nameLine, parseCertificates } from "../../wire/tls/pem.ts";
import type { PortTls } from "../listener/port.ts";
import { RevocationList } from "./revocation-list.ts";

type ClientTrust = Pick<PortTls, "clientCa" | "clientCrl">;

export interface CertificateRefusal {
  /** The certificate has expired, which is not an attack. */
  expired: boolean;
  /** The fault and its remedy, for the logs of both sides. */
  reason: string;
}

/** Longest chain of certificates that is followed. */
const MAX_CHAIN = 8;

export class ClientCertificates {
  #authorities: readonly X509Certificate[] = [];
  #revoked = RevocationList.empty;

  /** @throws TurnaboutError `config_invalid` */
  replace({ clientCa, clientCrl }: ClientTrust): void {
    const authorities =
      clientCa === undefined ? [] : parseCertificates({ text: clientCa, from: "client CA" });
    this.#revoked =
      clientCrl === undefined
        ? RevocationList.empty
        : RevocationList.parse({ text: clientCrl, from: "client CRL" }, authorities);
    this.#authorities = authorities;
  }

  /** A client CA is configured, so client certificates are requested. */
  get isEnabled(): boolean {
    return this.#authorities.length > 0;
  }

  /** Why the certificate is refused; undefined for a valid one. */
  refusal(certificate: X509Certificate): CertificateRefusal | undefined {
    const which = `the client certificate (serial ${certificate.serialNumber})`;
    const dates = dateProblem(certificate);
    if (dates !== undefined) {
      const expired = dates.startsWith("expired at");
      return { expired, reason: `${which} ${dates}: ${expired ? "renew it" : "check both clocks"}` };
    }
    if (this.#revoked.has(certificate)) {
      return { expired: false, reason: `${which} has been revoked: ask for a new one` };
    }
    if (this.#isTrusted(certificate)) return undefined;
    const issuer = nameLine(certificate.issuer);
    return {
      expired: false,
      reason: `${which} was issued by ${issuer}, which is not a client CA here: use one that --client-ca has signed`,
    };
  }

  /** Verified here and not only in the handshake: a resumed TLS session has no chain, and the CA may have changed. */
  #isTrusted(certificate: X509Certificate): boolean {
    let link: X509Certificate | undefined = certificate;
    for (let length = 0; link !== undefined && length < MAX_CHAIN; length += 1) {
      const issued: X509Certificate = link;
      if (this.#authorities.some((ca) => issued.checkIssued(ca) && issued.verify(ca.publicKey))) return true;
      const next: X509Certificate | undefined = issued.issuerCertificate;
      if (next === undefined || next.fingerprint256 === issued.fingerprint256) return false;
      if (!next.ca || !issued.checkIssued(next) || !issued.verify(next.publicKey)) return false;
      link = next;
    }
    return false;
  }
}
