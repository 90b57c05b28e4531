/** Certificates and keys in PEM: parsing and checks for both ends, with error messages for operators. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { TurnaboutError } from "../errors.ts";
import { EXPIRY_WARNING_MS } from "../limits.ts";

/** A PEM text and its origin for messages: `--tls-cert /run/tls/tls.crt`. */
export interface PemText {
  text: string;
  from: string;
}

const BLOCK = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]+-----END (?:TRUSTED )?CERTIFICATE-----/g;

/** The certificate itself first, then its intermediates. @throws TurnaboutError `config_invalid` */
export function parseCertificates({ text, from }: PemText): [X509Certificate, ...X509Certificate[]] {
  const blocks = text.match(BLOCK) ?? [];
  try {
    const [first, ...others] = blocks.map((block) => new X509Certificate(block));
    if (first !== undefined) return [first, ...others];
  } catch (cause) {
    throw invalid(`${from}: a damaged certificate`, "copy it again, from BEGIN to END", cause);
  }
  const what = text.includes("PRIVATE KEY-----") ? "a key, not a certificate" : "no PEM certificate in it";
  const hint =
    "it must have a -----BEGIN CERTIFICATE----- line; `openssl x509 -inform der` makes PEM of a binary one";
  throw invalid(`${from}: ${what}`, hint);
}

/** @throws TurnaboutError `config_invalid`, without any part of the key */
function parseKey({ text, from }: PemText): KeyObject {
  if (/ENCRYPTED/.test(text)) {
    const hint =
      "remove the passphrase, and keep the file readable by its owner only: `openssl pkey -in FILE -out FILE`";
    throw invalid(`${from}: the key has a passphrase`, hint);
  }
  try {
    return createPrivateKey(text);
  } catch {
    const what = text.includes("BEGIN CERTIFICATE-----") ? "a certificate, not a key" : "no PEM key in it";
    throw invalid(`${from}: ${what}`, "it must have a -----BEGIN PRIVATE KEY----- line");
  }
}

/** @throws TurnaboutError `config_invalid` if one of them cannot be parsed */
export function isPair(certificate: PemText, key: PemText): boolean {
  return parseCertificates(certificate)[0].checkPrivateKey(parseKey(key));
}

/** @throws TurnaboutError `config_invalid` unless the key belongs to the certificate */
export function checkPair(certificate: PemText, key: PemText): void {
  if (isPair(certificate, key)) return;
  throw invalid(
    `${key.from}: not the key of ${certificate.from}`,
    "give a matching pair; in a chain, the certificate itself comes before its intermediates",
  );
}

/** @throws TurnaboutError `config_invalid` outside its validity period */
export function checkDates(certificate: PemText): void {
  const [own] = parseCertificates(certificate);
  const problem = dateProblem(own);
  if (problem === undefined) return;
  throw invalid(
    `${certificate.from}: the certificate ${problem}`,
    "renew it, or correct this machine's clock",
  );
}

/** `expired at …`, `is not valid before …`; undefined while it is valid. */
export function dateProblem(certificate: X509Certificate, now: number = Date.now()): string | undefined {
  const { validFromDate: from, validToDate: to } = certificate;
  if (now >= to.getTime()) return `expired at ${to.toISOString()}`;
  if (now < from.getTime()) return `is not valid before ${from.toISOString()}`;
  return undefined;
}

/** When to start warning of its expiry: for a short-lived certificate, in the last quarter of its lifetime. */
export function warnsFromMs(certificate: X509Certificate): number {
  const endMs = certificate.validToDate.getTime();
  const lifeMs = endMs - certificate.validFromDate.getTime();
  return endMs - Math.min(EXPIRY_WARNING_MS, lifeMs / 4);
}

/** A subject or issuer as one line of limited length: the peer may have chosen it. */
export function nameLine(name: string): string {
  return name.replaceAll("\n", ", ").slice(0, 200);
}

function invalid(message: string, hint: string, cause?: unknown): TurnaboutError {
  return new TurnaboutError("config_invalid", message, { hint, cause });
}
