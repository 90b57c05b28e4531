/** A certificate authority: what it issues, and what it revokes. ECDSA P-256 with SHA-256 throughout. */
import "reflect-metadata"; // before @peculiar/x509, whose decorators need it
import { randomBytes, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { AsnConvert } from "@peculiar/asn1-schema";
import { CRLNumber, id_ce_cRLNumber } from "@peculiar/asn1-x509";
import { CLOCK_SKEW_MS, DAY_MS } from "./lifetimes.ts";

const KEYS = { name: "ECDSA", namedCurve: "P-256" };
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" };
/** RFC 5280 allows 20 octets; 16 random ones never meet. */
const SERIAL_BYTES = 16;

/** PEM texts. */
export interface Credential {
  cert: string;
  key: string;
}

export type Purpose = "server" | "client";

export interface LeafRequest {
  commonName: string;
  /** Subject alternative names. Default: none. */
  dns?: readonly string[];
  ip?: readonly string[];
  uri?: readonly string[];
  /** What it may be used for. Default: both. */
  purposes?: readonly Purpose[];
  notBefore?: Date;
  notAfter: Date;
}

export interface Revoked {
  /** Hexadecimal. */
  serial: string;
  at: Date;
}

export class Authority {
  readonly #certificate: x509.X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;

  private constructor(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#certificate = certificate;
    this.#keys = keys;
  }

  static async create(commonName: string, days: number): Promise<Authority> {
    return this.#selfSigned(`CN=${commonName}`, days, await generateKeys());
  }

  static async #selfSigned(name: string, days: number, keys: webcrypto.CryptoKeyPair): Promise<Authority> {
    const usages = (x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign) as x509.KeyUsageFlags;
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: newSerial(),
      name,
      notBefore: new Date(Date.now() - CLOCK_SKEW_MS),
      notAfter: new Date(Date.now() + days * DAY_MS),
      signingAlgorithm: SIGNATURE,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(usages, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new Authority(certificate, keys);
  }

  /** @throws if the texts are no certificate and key, or the key is another's */
  static async load({ cert, key }: Credential): Promise<Authority> {
    const certificate = new x509.X509Certificate(cert);
    const pkcs8 = x509.PemConverter.decodeFirst(key);
    const privateKey = await webcrypto.subtle.importKey("pkcs8", pkcs8, KEYS, false, ["sign"]);
    return new Authority(certificate, { privateKey, publicKey: await certificate.publicKey.export() });
  }

  /** The same name and key with a new date: whatever it has issued stays good. */
  renewed(days: number): Promise<Authority> {
    return Authority.#selfSigned(this.#certificate.subject, days, this.#keys);
  }

  /** PEM: what a peer has to trust. */
  get cert(): string {
    return pem(this.#certificate);
  }

  get notAfter(): Date {
    return this.#certificate.notAfter;
  }

  /** PEM. Only of an authority that was created here; a loaded key stays where it is. */
  async exportKey(): Promise<string> {
    return exportKey(this.#keys.privateKey);
  }

  /** With a new key, for no longer than the authority itself lives. */
  async issue(request: LeafRequest): Promise<Credential> {
    const { commonName, dns = [], ip = [], uri = [], purposes = ["server", "client"] } = request;
    const keys = await generateKeys();
    const names: x509.JsonGeneralNames = [
      ...dns.map((value) => ({ type: x509.DNS, value }) as const),
      ...ip.map((value) => ({ type: x509.IP, value }) as const),
      ...uri.map((value) => ({ type: x509.URL, value }) as const),
    ];
    const usages = purposes.map((purpose) =>
      purpose === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
    );
    const { notBefore = new Date(Date.now() - CLOCK_SKEW_MS), notAfter } = request;
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: [{ CN: [commonName] }],
      issuer: this.#certificate.subject,
      notBefore,
      notAfter: new Date(Math.min(notAfter.getTime(), this.notAfter.getTime())),
      signingAlgorithm: SIGNATURE,
      signingKey: this.#keys.privateKey,
      publicKey: keys.publicKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(usages),
        ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
      ],
    });
    return { cert: pem(certificate), key: await exportKey(keys.privateKey) };
  }

  /** A list of all revoked certificates, as PEM; valid as long as the authority. */
  async revocationList(revoked: readonly Revoked[]): Promise<string> {
    const number = AsnConvert.serialize(new CRLNumber(Math.floor(Date.now() / 1_000)));
    const list = await x509.X509CrlGenerator.create({
      issuer: this.#certificate.subject,
      thisUpdate: new Date(Date.now() - CLOCK_SKEW_MS),
      nextUpdate: this.notAfter,
      signingAlgorithm: SIGNATURE,
      signingKey: this.#keys.privateKey,
      entries: revoked.map(({ serial, at }) => ({ serialNumber: serial, revocationDate: at })),
      extensions: [
        await x509.AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
        new x509.Extension(id_ce_cRLNumber, false, number),
      ],
    });
    // Not the library's own text: its label is not that of RFC 7468, and OpenSSL refuses it.
    return `${x509.PemConverter.encode(list.rawData, "X509 CRL")}\n`;
  }
}

/** What a revocation list of ours holds. */
export function parseRevocationList(text: string): Revoked[] {
  return new x509.X509Crl(text).entries.map(({ serialNumber, revocationDate }) => ({
    serial: serialNumber,
    at: revocationDate,
  }));
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEYS, true, ["sign", "verify"]);
}

async function exportKey(key: CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

function pem(data: { toString(format: "pem"): string }): string {
  return `${data.toString("pem")}\n`;
}

/** Positive, and never with a leading zero: tools disagree about both. */
function newSerial(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x40, 0);
  return bytes.toString("hex");
}
