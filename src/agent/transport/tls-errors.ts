/** TLS failures in words: which end does not accept which certificate, and what to do about it. */
import { errorCodeOf, TurnaboutError } from "../../wire/errors.ts";

/** What this end found wrong with the control plane's certificate, by OpenSSL's and node's codes. */
const SERVER_CERTIFICATE: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: "it is for another name: use that in --server, or give it as --server-name",
  SELF_SIGNED_CERT_IN_CHAIN: "it is of a private CA: give that with --ca",
  DEPTH_ZERO_SELF_SIGNED_CERT: "it has signed itself: give it with --ca",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its CA is not trusted here: give that with --ca",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its CA is not trusted here: give that with --ca",
  CERT_SIGNATURE_FAILURE: "another CA of the same name has signed it: give the right one with --ca",
  CERT_HAS_EXPIRED: "it has to be renewed at the control plane, or this machine's clock is wrong",
  CERT_NOT_YET_VALID: "this machine's clock may be behind",
};

/** By what the other end ended the handshake (RFC 8446 §6.2), where that is about our certificate. */
const ALERTS: Readonly<Record<string, string>> = {
  UNKNOWN_CA: "it does not know the CA of the client certificate: use one that its client CA has signed",
  CERTIFICATE_EXPIRED: "the client certificate has expired: renew it",
  CERTIFICATE_REVOKED: "the client certificate has been revoked: ask for a new one",
  CERTIFICATE_REQUIRED: "it wants a client certificate: give --cert and --key",
  BAD_CERTIFICATE: "it does not accept the client certificate",
  UNSUPPORTED_CERTIFICATE: "it does not accept the client certificate: is it made for TLS clients?",
  CERTIFICATE_UNKNOWN: "it does not accept the client certificate",
  ACCESS_DENIED: "it does not let the client certificate in",
};

export function serverCertificateAdvice(error: unknown): string | undefined {
  return SERVER_CERTIFICATE[errorCodeOf(error) ?? ""];
}

/**
 * With TLS 1.3 the other end refuses a client certificate when this end's handshake is over already: the alert comes as
 * an error of whatever was begun then. No carrier can do better.
 */
export function refusedByAlert(error: unknown): TurnaboutError | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    const alert = /^ERR_SSL_.*ALERT_([A-Z_]+)$/.exec(errorCodeOf(cause) ?? "")?.[1] ?? "";
    const advice = ALERTS[alert];
    if (advice === undefined) continue;
    const name = alert.toLowerCase().replaceAll("_", " ");
    const message = `TLS: the other end refused with the alert "${name}": ${advice}`;
    return new TurnaboutError("unauthenticated", message, { cause });
  }
  return undefined;
}
