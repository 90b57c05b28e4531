/** Follows the files of certificate, key, client CA and revocation list; new connections get the new ones. */
import { readFile, stat } from "node:fs/promises";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { checkDates, checkPair, isPair, parseCertificates, warnsFromMs } from "../../wire/tls/pem.ts";
import type { PemText } from "../../wire/tls/pem.ts";
import { RevocationList } from "../auth/revocation-list.ts";
import {
  MAX_REVOCATION_FILE_BYTES,
  MAX_TLS_FILE_BYTES,
  TLS_FILES_POLL_MS,
  TLS_PAIR_DEADLINE_MS,
} from "../limits.ts";
import type { PortTls } from "../listener/port.ts";
import { poll } from "../../wire/poll.ts";
import { systemErrorHint } from "../../wire/system/system-errors.ts";

/** PEM files; followed for changes. */
export interface TlsFiles {
  certFile: string;
  keyFile: string;
  /** CAs that sign client certificates. */
  clientCaFile?: string | undefined;
  /** Revoked client certificates: PEM revocation lists, or serials one a line. */
  clientCrlFile?: string | undefined;
}

export interface FollowedTls {
  /** Contents of the files when following began. */
  readonly tls: PortTls;
  stop(): void;
}

interface Texts {
  cert: PemText;
  key: PemText;
  clientCa: PemText | undefined;
  clientCrl: PemText | undefined;
}

/**
 * Reads the files and follows their changes. While certificate and key do not match, one of them is still being
 * replaced: up to {@link TLS_PAIR_DEADLINE_MS} that is not an error. Any other error is logged once, and the last valid
 * files stay in use.
 *
 * @param apply called with each complete new set
 * @throws TurnaboutError `config_invalid` that names the file, if the first ones cannot be used
 */
export async function followTlsFiles(
  files: TlsFiles,
  apply: (tls: PortTls) => void,
  log: Logger,
): Promise<FollowedTls> {
  const path = files.certFile;
  const first = await readTexts(files);
  let revoked = validate(first);
  let used = first;
  let seen = fingerprint(first);
  let mismatchSince: number | undefined;
  let warned = "";
  let warnedOfList: RevocationList | undefined;

  function warnOfExpiry(): void {
    const { nextUpdate } = revoked;
    if (warnedOfList !== revoked && nextUpdate !== undefined && nextUpdate.getTime() < Date.now()) {
      warnedOfList = revoked;
      log.warn(
        { path: files.clientCrlFile, nextUpdate },
        "the revocation list is out of date; it stays in force",
      );
    }
    const [own] = parseCertificates(used.cert);
    if (warned === own.serialNumber || Date.now() < warnsFromMs(own)) return;
    warned = own.serialNumber;
    log.warn({ path, serial: own.serialNumber, until: own.validToDate }, "the certificate expires soon");
  }

  async function check(): Promise<void> {
    warnOfExpiry();
    const texts = await readTexts(files);
    const current = fingerprint(texts);
    if (current === seen) return;
    if (!isPair(texts.cert, texts.key)) {
      mismatchSince ??= performance.now();
      if (performance.now() - mismatchSince < TLS_PAIR_DEADLINE_MS) return;
    }
    mismatchSince = undefined;
    revoked = validate(texts);
    apply(toTls(texts));
    seen = current;
    used = texts;
    const [{ serialNumber: serial, validToDate: until }] = parseCertificates(texts.cert);
    log.info({ path, serial, until }, "TLS files reloaded");
  }

  warnOfExpiry();
  const stop = poll(check, {
    intervalMs: TLS_FILES_POLL_MS,
    onError: ({ message }) =>
      log.error({ path, reason: message }, "TLS files not usable; the last valid ones stay in use"),
  });
  return { tls: toTls(first), stop };
}

/** @throws TurnaboutError `config_invalid` that names the file that cannot be used */
export async function checkTlsFiles(files: TlsFiles): Promise<void> {
  validate(await readTexts(files));
}

async function readTexts(files: TlsFiles): Promise<Texts> {
  const { certFile, keyFile, clientCaFile, clientCrlFile } = files;
  const cert = await read(certFile, "--tls-cert", MAX_TLS_FILE_BYTES);
  const key = await read(keyFile, "--tls-key", MAX_TLS_FILE_BYTES);
  return {
    cert,
    key,
    clientCa:
      clientCaFile === undefined ? undefined : await read(clientCaFile, "--client-ca", MAX_TLS_FILE_BYTES),
    clientCrl:
      clientCrlFile === undefined
        ? undefined
        : await read(clientCrlFile, "--client-crl", MAX_REVOCATION_FILE_BYTES),
  };
}

async function read(path: string, option: string, maxBytes: number): Promise<PemText> {
  const from = `${option} ${path}`;
  try {
    const { size } = await stat(path);
    if (size > maxBytes) throw new Error(`larger than ${maxBytes} bytes`);
    return { text: await readFile(path, "utf8"), from };
  } catch (cause) {
    throw new TurnaboutError("config_invalid", `${from}: ${(cause as Error).message}`, {
      cause,
      hint: systemErrorHint(cause, "file") ?? "give a smaller file",
    });
  }
}

/** @throws TurnaboutError `config_invalid` */
function validate({ cert, key, clientCa, clientCrl }: Texts): RevocationList {
  checkPair(cert, key);
  checkDates(cert);
  const authorities = clientCa === undefined ? [] : parseCertificates(clientCa);
  return clientCrl === undefined ? RevocationList.empty : RevocationList.parse(clientCrl, authorities);
}

function toTls({ cert, key, clientCa, clientCrl }: Texts): PortTls {
  return { cert: cert.text, key: key.text, clientCa: clientCa?.text, clientCrl: clientCrl?.text };
}

function fingerprint({ cert, key, clientCa, clientCrl }: Texts): string {
  return [cert, key, clientCa, clientCrl].map((item) => item?.text ?? "").join("\0");
}

/** Expiry of the first certificate to expire, in Unix seconds, for the metrics. */
export function certificateExpiries(tls: PortTls | undefined): Record<string, number> {
  if (tls === undefined) return {};
  const expiryS = (text: string) =>
    Math.min(
      ...parseCertificates({ text, from: "" }).map(({ validToDate }) => validToDate.getTime() / 1_000),
    );
  return {
    server: expiryS(tls.cert),
    ...(tls.clientCa !== undefined && { client_ca: expiryS(tls.clientCa) }),
  };
}
