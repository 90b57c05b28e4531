/** A throw-away public key infrastructure, made with node:crypto alone: no command, no file, no key in the repository. */
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import net from "node:net";

/** PEM texts. */
export interface Credential {
  cert: string;
  key: string;
}

export interface CertificateRequest {
  commonName: string;
  /** Subject alternative names. Default: none. */
  dns?: readonly string[];
  ip?: readonly string[];
  uri?: readonly string[];
  /** Default: yesterday to tomorrow. */
  notBefore?: Date;
  notAfter?: Date;
}

export interface Pki {
  /** PEM of the authority's certificate: what a peer has to trust. */
  readonly ca: string;
  issue(request: CertificateRequest): Credential;
}

/** A certificate authority that issues for as long as the test holds it. ECDSA P-256. */
export function createPki(commonName = "Turnabout test CA"): Pki {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = { name: distinguishedName(commonName), key: privateKey };
  const own = certificate({ commonName }, publicKey, issuer, true);
  return {
    ca: own,
    issue: (request) => {
      const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
      return {
        cert: certificate(request, pair.publicKey, issuer, false),
        key: pair.privateKey.export({ type: "pkcs8", format: "pem" }),
      };
    },
  };
}

/** A server certificate for `localhost`, `127.0.0.1` and `::1`. */
export function issueServer(pki: Pki): Credential {
  return pki.issue({ commonName: "localhost", dns: ["localhost"], ip: ["127.0.0.1", "::1"] });
}

const DAY_MS = 86_400_000;
const OID = {
  commonName: "550403",
  basicConstraints: "551d13",
  keyUsage: "551d0f",
  subjectAltName: "551d11",
  extendedKeyUsage: "551d25",
  serverAuth: "2b06010505070301",
  clientAuth: "2b06010505070302",
  ecdsaWithSha256: "2a8648ce3d040302",
};

function certificate(
  request: CertificateRequest,
  publicKey: KeyObject,
  issuer: { name: Buffer; key: KeyObject },
  isAuthority: boolean,
): string {
  const serial = randomBytes(8);
  serial.writeUInt8((serial.readUInt8(0) & 0x7f) | 0x01, 0); // positive, and never with a leading zero
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const tbs = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, serial),
    algorithm,
    issuer.name,
    sequence(
      utcTime(request.notBefore ?? new Date(Date.now() - DAY_MS)),
      utcTime(request.notAfter ?? new Date(Date.now() + DAY_MS)),
    ),
    distinguishedName(request.commonName),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...(isAuthority ? authorityExtensions() : leafExtensions(request)))),
  );
  const signature = der(0x03, Buffer.from([0]), sign("sha256", tbs, issuer.key));
  const base64 = sequence(tbs, algorithm, signature).toString("base64");
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function authorityExtensions(): Buffer[] {
  const critical = der(0x01, Buffer.from([0xff]));
  return [
    sequence(oid(OID.basicConstraints), critical, der(0x04, sequence(der(0x01, Buffer.from([0xff]))))),
    sequence(oid(OID.keyUsage), critical, der(0x04, der(0x03, Buffer.from([1, 0x06])))), // keyCertSign, cRLSign
  ];
}

function leafExtensions({ dns = [], ip = [], uri = [] }: CertificateRequest): Buffer[] {
  const names = [
    ...dns.map((name) => der(0x82, Buffer.from(name))),
    ...uri.map((name) => der(0x86, Buffer.from(name))),
    ...ip.map((address) => der(0x87, addressBytes(address))),
  ];
  const usage = sequence(
    oid(OID.extendedKeyUsage),
    der(0x04, sequence(oid(OID.serverAuth), oid(OID.clientAuth))),
  );
  if (names.length === 0) return [usage];
  return [usage, sequence(oid(OID.subjectAltName), der(0x04, sequence(...names)))];
}

function addressBytes(address: string): Buffer {
  if (net.isIPv4(address)) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail = ""] = address.split("::");
  const groups = (text: string) => text.split(":").filter((group) => group !== "");
  const missing = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array.from({ length: missing }, () => "0"), ...groups(tail)];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}

function distinguishedName(commonName: string): Buffer {
  return sequence(der(0x31, sequence(oid(OID.commonName), der(0x0c, Buffer.from(commonName)))));
}

function utcTime(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]/g, "").slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, ...parts);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

/** Tag, length and value (X.690 §8.1). */
function der(tag: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const octets = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...octets]), body]);
}
