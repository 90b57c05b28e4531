/** Token, CA, certificate and key. They are read again at every attempt, so that a rotated file needs no restart. */
import { readFile, stat } from "node:fs/promises";
import tls from "node:tls";
import { TurnaboutError } from "../../wire/errors.ts";
import { systemErrorHint } from "../../wire/system/system-errors.ts";
import { checkPair, parseCertificates } from "../../wire/tls/pem.ts";
import type { PemText } from "../../wire/tls/pem.ts";
import { MAX_CREDENTIAL_FILE_BYTES } from "../limits.ts";

/** A secret: its value, or the path of the file that contains it. */
export type Secret = { value: string } | { file: string };

/** @throws TurnaboutError `config_invalid` naming the file, never its contents */
export async function readSecret(secret: Secret, what: string): Promise<string> {
  if ("value" in secret) {
    const value = secret.value.trim();
    if (what === "token" && value !== "") requireToken(value);
    return value;
  }
  try {
    const { size } = await stat(secret.file);
    if (size > MAX_CREDENTIAL_FILE_BYTES) throw new Error(`larger than ${MAX_CREDENTIAL_FILE_BYTES} bytes`);
    const text = (await readFile(secret.file, "utf8")).trim();
    if (text === "") throw new Error("empty");
    if (what === "token") requireToken(text);
    return text;
  } catch (cause) {
    throw new TurnaboutError("config_invalid", `${what} file ${secret.file}: ${(cause as Error).message}`, {
      cause,
      hint:
        cause instanceof TurnaboutError
          ? TOKEN_HINT
          : (systemErrorHint(cause, "file") ?? `give a file that has the ${what} and nothing else`),
    });
  }
}

const TOKEN_HINT =
  "give the token and nothing else: of what `turnabout token` prints, that is the first line";

/** A field value of HTTP. @throws TurnaboutError `config_invalid` without any part of the text */
function requireToken(text: string): void {
  if (/^[\x21-\x7e]+$/.test(text) && !text.startsWith("{")) return;
  const what = text.startsWith("{") ? "the JSON of the control plane's token file" : "more than a token";
  throw new TurnaboutError("config_invalid", what, { hint: TOKEN_HINT });
}

export interface TlsFiles {
  /** PEM file of a private CA, trusted in addition to the system's. */
  caFile?: string | undefined;
  /** PEM files of the client certificate for `rh2`. */
  certFile?: string | undefined;
  keyFile?: string | undefined;
  /** Accept any certificate. Logged as a warning. Default false. */
  insecure?: boolean | undefined;
  /** Name in SNI and in the certificate, if it differs from the URL's host. */
  serverName?: string | undefined;
}

/** What decides whether a server is trusted. No client certificate: the type does not allow one. */
export interface ServerTrust extends Omit<TlsFiles, "certFile" | "keyFile"> {
  certFile?: undefined;
  keyFile?: undefined;
}

/** For connections that are not this agent's own: its certificate must not vouch for others. */
export function withoutClientCertificate({ caFile, insecure, serverName }: TlsFiles): ServerTrust {
  return { caFile, insecure, serverName };
}

export interface TlsMaterial {
  ca?: string[];
  cert?: string;
  key?: string;
  rejectUnauthorized: boolean;
}

export async function readTlsMaterial(files: TlsFiles): Promise<TlsMaterial> {
  const material: TlsMaterial = { rejectUnauthorized: files.insecure !== true };
  if (files.caFile !== undefined) {
    const ca = await readSecret({ file: files.caFile }, "CA");
    parseCertificates({ text: ca, from: `CA file ${files.caFile}` });
    material.ca = [...tls.getCACertificates("default"), ca];
  }
  const pair = await readPair(files);
  if (pair === undefined) return material;
  checkPair(pair.cert, pair.key);
  return { ...material, cert: pair.cert.text, key: pair.key.text };
}

/** The client certificate and its key, as they are now. While the files are being replaced, they may not match. */
export async function readPair({
  certFile,
  keyFile,
}: TlsFiles): Promise<{ cert: PemText; key: PemText } | undefined> {
  if (certFile === undefined || keyFile === undefined) return undefined;
  const cert = await readSecret({ file: certFile }, "certificate");
  const key = await readSecret({ file: keyFile }, "key");
  return {
    cert: { text: cert, from: `certificate file ${certFile}` },
    key: { text: key, from: `key file ${keyFile}` },
  };
}
