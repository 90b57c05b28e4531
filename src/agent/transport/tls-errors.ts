/** Explanations of TLS errors: which end rejects which certificate, and what to do about it. */
import { errorCodeOf, joinReasons, TurnaboutError } from "../../wire/errors.ts";
import { stepFailed } from "./tcp.ts";

/** Problems with the control plane's certificate, by the codes of OpenSSL and node. */
const SERVER_CERTIFICATE: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID:
    "it is for another name: use that name in --server, or give it with --server-name",
  SELF_SIGNED_CERT_IN_CHAIN: "it is issued by a private CA: give the CA's certificate with --ca",
  DEPTH_ZERO_SELF_SIGNED_CERT: "it is self-signed: give it with --ca",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its CA is not trusted here: give the CA's certificate with --ca",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its CA is not trusted here: give the CA's certificate with --ca",
  CERT_SIGNATURE_FAILURE:
    "another CA of the same name has signed it: give the right CA's certificate with --ca",
  CERT_HAS_EXPIRED: "renew it at the control plane, or correct this machine's clock",
  CERT_NOT_YET_VALID: "this machine's clock may be behind",
};

/** Alerts of the other end about our certificate (RFC 8446 §6.2). */
const ALERTS: Readonly<Record<string, string>> = {
  UNKNOWN_CA:
    "it does not know the CA of the client certificate: use a certificate that its client CA has issued",
  CERTIFICATE_EXPIRED: "the client certificate has expired: renew it",
  CERTIFICATE_REVOKED: "the client certificate has been revoked: ask for a new one",
  CERTIFICATE_REQUIRED: "it requires a client certificate: give --cert and --key",
  BAD_CERTIFICATE: "it does not accept the client certificate",
  UNSUPPORTED_CERTIFICATE: "it does not accept the client certificate: is it made for TLS clients?",
  CERTIFICATE_UNKNOWN: "it does not accept the client certificate",
  ACCESS_DENIED: "it denies access to the client certificate",
};

/** @param caFile the CA that is trusted besides the system's */
export function serverCertificateAdvice(error: unknown, caFile: string | undefined): string | undefined {
  const advice = SERVER_CERTIFICATE[errorCodeOf(error) ?? ""];
  const isUnknownCa = advice?.endsWith("with --ca") === true;
  return isUnknownCa && caFile !== undefined
    ? `the CA in ${caFile} has not issued it: give the one that has with --ca`
    : advice;
}

/** Nothing of TLS in what the port sends: no carrier would do better. */
const NO_TLS: ReadonlySet<string> = new Set([
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
]);

/** The handshake with the control plane has failed: which end refuses what. @param step as in {@link stepFailed} */
export function handshakeFailed(
  step: string,
  cause: unknown,
  { isUntrusted, caFile }: { isUntrusted: boolean; caFile: string | undefined },
): TurnaboutError {
  if (NO_TLS.has(errorCodeOf(cause) ?? "")) {
    return new TurnaboutError("server_unreachable", `${step}: the port does not speak TLS`, {
      cause,
      hint: "use http:// in --server, or another port; a control plane speaks TLS with --tls-cert and --tls-key",
    });
  }
  // An untrusted certificate fails on every carrier. An ALPN that is not selected may not matter to another one.
  const { code, message, hint } = stepFailed(
    isUntrusted ? "server_unreachable" : "carrier_failed",
    step,
    cause,
  );
  const advice = serverCertificateAdvice(cause, caFile);
  const text = message.replace(/; if the root CA is installed locally[^(]*/, " ");
  return new TurnaboutError(code, advice === undefined ? text : joinReasons([text, advice]), {
    cause,
    ...(hint !== undefined && { hint }),
  });
}

/**
 * The alert with which the other end rejects the client certificate. With TLS 1.3 it arrives after this end's handshake, as an
 * error of a later step. Every carrier fails in the same way.
 */
export function refusedByAlert(error: unknown): TurnaboutError | undefined {
  const alert = alertOf(error);
  if (alert === undefined) return undefined;
  const message = `TLS: the peer sent the alert "${readable(alert)}": ${ALERTS[alert]}`;
  return new TurnaboutError("unauthenticated", message, {
    cause: error,
    hint: "see its issuer and its dates: `openssl x509 -noout -issuer -dates -in FILE`",
  });
}

/** The same at a relay, which has no client certificate to present, and none of its agents' either. */
export function refusedRelayByAlert(error: unknown): TurnaboutError | undefined {
  const alert = alertOf(error);
  if (alert === undefined) return undefined;
  const what = `TLS: the peer sent the alert "${readable(alert)}"`;
  const advice =
    "it requires a client certificate, and a relay presents none: let it accept agents with a token";
  return new TurnaboutError("server_unreachable", `${what}: ${advice}`, { cause: error });
}

function alertOf(error: unknown): string | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    const alert = /^ERR_SSL_.*ALERT_([A-Z_]+)$/.exec(errorCodeOf(cause) ?? "")?.[1];
    if (alert !== undefined && Object.hasOwn(ALERTS, alert)) return alert;
  }
  return undefined;
}

function readable(alert: string): string {
  return alert.toLowerCase().replaceAll("_", " ");
}
