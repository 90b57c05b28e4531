/** Token, CA, certificate and key. They are read again at every attempt, so that a rotated file needs no restart. */
import { open, stat } from "node:fs/promises";
import tls from "node:tls";
import { errorCodeOf, TurnaboutError } from "../../wire/errors.ts";
import { FILE_NAME_HINT, inPlaceOfFile } from "../../wire/fields/secret-text.ts";
import { systemErrorHint } from "../../wire/system/system-errors.ts";
import { checkPair, parseCertificates } from "../../wire/tls/pem.ts";
import type { PemText } from "../../wire/tls/pem.ts";
import { MAX_CREDENTIAL_FILE_BYTES, MAX_TOKEN_LENGTH } from "../limits.ts";

/** A secret: its value, or the path of the file that contains it. */
export type Secret = { value: string } | { file: string };

/** @throws TurnaboutError `config_invalid` naming the file, never its contents */
export async function readSecret(secret: Secret, what: string): Promise<string> {
  if ("value" in secret) {
    const value = secret.value.trim();
    const problem = what === "token" ? tokenProblem(value) : undefined;
    if (problem === undefined) return value;
    throw new TurnaboutError("config_invalid", `${what}: ${problem}`, { hint: TOKEN_HINT });
  }
  const misplaced = inPlaceOfFile(secret.file);
  if (misplaced !== undefined)
    throw new TurnaboutError("config_invalid", `${what} file: ${misplaced}`, { hint: FILE_NAME_HINT });
  let text: string;
  try {
    text = (await readStart(secret.file)).trim();
  } catch (cause) {
    throw new TurnaboutError("config_invalid", `${what} file ${secret.file}: ${(cause as Error).message}`, {
      cause,
      hint: systemErrorHint(cause, "file") ?? hintFor(what),
    });
  }
  const problem = what === "token" ? tokenProblem(text) : text === "" ? "empty" : undefined;
  if (problem === undefined) return text;
  throw new TurnaboutError("config_invalid", `${what} file ${secret.file}: ${problem}`, {
    hint: hintFor(what),
  });
}

function hintFor(what: string): string {
  return what === "token" ? TOKEN_HINT : `give a file that has the ${what} and nothing else`;
}

/** Also of a device or a pipe, which has no size. */
async function readStart(file: string): Promise<string> {
  await using handle = await open(file);
  const buffer = Buffer.alloc(MAX_CREDENTIAL_FILE_BYTES + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
    if (bytesRead === 0) return buffer.toString("utf8", 0, length);
    length += bytesRead;
  }
  throw new Error(`larger than ${MAX_CREDENTIAL_FILE_BYTES} bytes`);
}

const TOKEN_HINT =
  "give the token and nothing else: of what `turnabout token` prints, that is the first line";

/** Why a text is no token, which is a field value of HTTP; without any part of the text. Undefined: it is one. */
export function tokenProblem(text: string): string | undefined {
  if (text === "") return "empty";
  if (/^[[{]/.test(text)) return "the JSON of the control plane's token file";
  if (text.includes("-----BEGIN ")) return "a certificate or a key, and not a token";
  if (/[^\s\x21-\x7e]/.test(text)) return "not a token: it has bytes that are no ASCII text";
  if (/\s/.test(text)) return "more than a token";
  return text.length > MAX_TOKEN_LENGTH ? `longer than ${MAX_TOKEN_LENGTH} characters` : undefined;
}

/**
 * Before the first attempt: the token as it is to be used. A pipe can be read only once. A file that is not there may come later,
 * because containers start in any order; one that is there and has no token is an error.
 *
 * @throws TurnaboutError `config_invalid`
 */
export async function prepareToken(token: Secret): Promise<Secret> {
  const isPipe = "file" in token && (await isSpecial(token.file));
  const text = await unlessMissing(readSecret(token, "token"));
  return isPipe && text !== undefined ? { value: text } : token;
}

/** Before the first attempt, as {@link prepareToken}: certificates and keys. @throws TurnaboutError `config_invalid` */
export async function checkTlsFiles({ caFile, certFile, keyFile }: TlsFiles): Promise<void> {
  const files = [caFile, certFile, keyFile].filter((file) => file !== undefined);
  if ((await Promise.all(files.map(isSpecial))).includes(true)) return; // read once, by the first attempt
  await unlessMissing(readTlsMaterial({ caFile }));
  await unlessMissing(readTlsMaterial({ certFile, keyFile }));
}

async function isSpecial(file: string): Promise<boolean> {
  const stats = await stat(file).catch(() => undefined);
  return stats !== undefined && !stats.isFile() && !stats.isDirectory();
}

async function unlessMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof TurnaboutError && errorCodeOf(error.cause) === "ENOENT") return undefined;
    throw error;
  }
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
