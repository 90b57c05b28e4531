/**
 * Revoked client certificates, from one file: PEM revocation lists (RFC 5280) of the client CAs, plain serials one a line,
 * or both.
 */
import { verify } from "node:crypto";
import type { X509Certificate } from "node:crypto";
import { createRequire } from "node:module";
import type { CertificateList } from "@peculiar/asn1-x509";
import { TurnaboutError } from "../../wire/errors.ts";
import type { PemText } from "../../wire/tls/pem.ts";
import { MAX_REVOCATION_FILE_BYTES } from "../limits.ts";

const BLOCK = /-----BEGIN (?:X509 )?CRL-----([^-]+)-----END (?:X509 )?CRL-----/g;

/** Digest by signature algorithm; null where the algorithm includes it. */
const DIGESTS: Readonly<Record<string, string | null>> = {
  "1.2.840.10045.4.3.2": "sha256", // ECDSA
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
  "1.2.840.113549.1.1.11": "sha256", // RSA
  "1.2.840.113549.1.1.12": "sha384",
  "1.2.840.113549.1.1.13": "sha512",
  "1.3.101.112": null, // Ed25519
  "1.3.101.113": null, // Ed448
};

interface Issued {
  authority: X509Certificate;
  serials: ReadonlySet<string>;
}

export class RevocationList {
  readonly #plain: ReadonlySet<string>;
  readonly #issued: readonly Issued[];
  /** When the first of the lists goes out of date (RFC 5280 §5.1.2.5). */
  readonly nextUpdate: Date | undefined;

  private constructor(plain: ReadonlySet<string>, issued: readonly Issued[], nextUpdate: Date | undefined) {
    this.#plain = plain;
    this.#issued = issued;
    this.nextUpdate = nextUpdate;
  }

  static readonly empty: RevocationList = new RevocationList(new Set(), [], undefined);

  /** @throws TurnaboutError `config_invalid`, also for a list that none of the authorities has signed */
  static parse({ text, from }: PemText, authorities: readonly X509Certificate[]): RevocationList {
    if (text.length > MAX_REVOCATION_FILE_BYTES) {
      throw invalid(
        `${from}: larger than ${MAX_REVOCATION_FILE_BYTES} bytes`,
        "remove certificates that have expired",
      );
    }
    // A file that is being rewritten is empty for a moment, which would lift all revocations.
    if (text.trim() === "")
      throw invalid(`${from}: empty`, "for a list without serials, write the line `# none`");
    const lists = [...text.matchAll(BLOCK)].map(([, base64 = ""]) => parseList(base64, from, authorities));
    const dates = lists.flatMap(({ nextUpdate }) => (nextUpdate === undefined ? [] : [nextUpdate.getTime()]));
    return new RevocationList(
      parsePlain(text.replaceAll(BLOCK, ""), from),
      lists,
      dates.length === 0 ? undefined : new Date(Math.min(...dates)),
    );
  }

  has(certificate: X509Certificate): boolean {
    const serial = plainSerial(certificate.serialNumber);
    if (this.#plain.has(serial)) return true;
    return this.#issued.some(
      ({ authority, serials }) => serials.has(serial) && certificate.checkIssued(authority),
    );
  }
}

function parsePlain(text: string, from: string): Set<string> {
  const serials = new Set<string>();
  for (const line of text.split("\n")) {
    const [word = ""] = line.trim().split("#", 1);
    if (word === "") continue;
    if (!/^(?:serial=)?[0-9a-f]+(?::[0-9a-f]+)*\s*$/i.test(word)) {
      const hint = "a line has one serial in hexadecimal, as `openssl x509 -noout -serial` prints it";
      throw invalid(`${from}: neither a revocation list nor a serial: ${word.slice(0, 60)}`, hint);
    }
    serials.add(plainSerial(word.replace(/^serial=/i, "")));
  }
  return serials;
}

function parseList(
  base64: string,
  from: string,
  authorities: readonly X509Certificate[],
): Issued & { nextUpdate: Date | undefined } {
  let list: CertificateList;
  try {
    list = readList(Buffer.from(base64, "base64"));
  } catch (cause) {
    throw invalid(`${from}: a damaged revocation list`, "copy it again, from BEGIN to END", cause);
  }
  const { tbsCertList } = list;
  if (tbsCertList.crlExtensions?.some(({ critical }) => critical) === true) {
    throw invalid(`${from}: a partial revocation list`, "give the complete one");
  }
  const authority = authorities.find((candidate) => isSigned(list, candidate));
  if (authority === undefined) {
    throw invalid(
      `${from}: none of --client-ca has signed this list`,
      "give the list of the client CA itself",
    );
  }
  const serials = (tbsCertList.revokedCertificates ?? []).map(({ userCertificate }) =>
    plainSerial(Buffer.from(userCertificate).toString("hex")),
  );
  return { authority, serials: new Set(serials), nextUpdate: tbsCertList.nextUpdate?.getTime() };
}

/** The parser is loaded on first use: most control planes have no revocation list, and it is a hundred modules. */
function readList(der: Buffer): CertificateList {
  const require = createRequire(import.meta.url);
  const { AsnConvert } = require("@peculiar/asn1-schema") as typeof import("@peculiar/asn1-schema");
  const { CertificateList: List } = require("@peculiar/asn1-x509") as typeof import("@peculiar/asn1-x509");
  return AsnConvert.parse(der, List);
}

function isSigned(list: CertificateList, { publicKey }: X509Certificate): boolean {
  const digest = DIGESTS[list.signatureAlgorithm.algorithm];
  if (digest === undefined || list.tbsCertListRaw === undefined) return false;
  try {
    return verify(digest, Buffer.from(list.tbsCertListRaw), publicKey, Buffer.from(list.signature));
  } catch {
    return false; // a key of another kind
  }
}

function plainSerial(serial: string): string {
  return serial.trim().toLowerCase().replaceAll(":", "").replace(/^0+/, "");
}

function invalid(message: string, hint: string, cause?: unknown): TurnaboutError {
  return new TurnaboutError("config_invalid", message, { hint, cause });
}
