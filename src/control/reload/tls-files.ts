/** Certificate, key, client CA and revocation list as files that are followed: new ones are for new connections. */
import { readFile, stat } from "node:fs/promises";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { checkDates, checkPair, isPair, parseCertificates, warnsFromMs } from "../../wire/tls/pem.ts";
import type { PemText } from "../../wire/tls/pem.ts";
import { RevocationList } from "../auth/revocation.ts";
import {
  MAX_REVOCATION_FILE_BYTES,
  MAX_TLS_FILE_BYTES,
  TLS_FILES_POLL_MS,
  TLS_PAIR_PATIENCE_MS,
} from "../limits.ts";
import type { PortTls } from "../listener/port.ts";
import { poll } from "./poll.ts";

/** PEM files; followed for changes. */
export interface TlsFiles {
  certFile: string;
  keyFile: string;
  /** CAs that sign client certificates. */
  clientCaFile?: string | undefined;
  /** What they have taken back: PEM revocation lists, or serials one a line. */
  clientCrlFile?: string | undefined;
}

export interface FollowedTls {
  /** What was read at first. */
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
 * Reads them and follows their changes. While certificate and key do not fit, one of them is still being replaced:
 * nothing happens until they do. Any other fault is reported once, and the last good ones stay in use.
 *
 * @param apply gets each complete new set
 * @throws TurnaboutError `config_invalid` naming the file, if the first ones cannot be used
 */
export async function followTlsFiles(
  files: TlsFiles,
  apply: (tls: PortTls) => void,
  log: Logger,
): Promise<FollowedTls> {
  const path = files.certFile;
  const first = await readTexts(files);
  let revoked = check(first);
  let used = first;
  let seen = fingerprint(first);
  let mismatchSince: number | undefined;
  let warned = "";
  let warnedOfList: RevocationList | undefined;

  function warnOfEnd(): void {
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
    log.warn({ path, serial: own.serialNumber, until: own.validToDate }, "the certificate ends soon");
  }

  async function look(): Promise<void> {
    warnOfEnd();
    const texts = await readTexts(files);
    const now = fingerprint(texts);
    if (now === seen) return;
    if (!isPair(texts.cert, texts.key)) {
      mismatchSince ??= performance.now();
      if (performance.now() - mismatchSince < TLS_PAIR_PATIENCE_MS) return;
    }
    mismatchSince = undefined;
    revoked = check(texts);
    apply(toTls(texts));
    seen = now;
    used = texts;
    const [{ serialNumber: serial, validToDate: until }] = parseCertificates(texts.cert);
    log.info({ path, serial, until }, "TLS files loaded again");
  }

  warnOfEnd();
  const stop = poll(look, TLS_FILES_POLL_MS, ({ message }) => {
    log.error({ path, reason: message }, "TLS files not usable; keeping the last ones");
  });
  return { tls: toTls(first), stop };
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

async function read(path: string, option: string, most: number): Promise<PemText> {
  const from = `${option} ${path}`;
  try {
    const { size } = await stat(path);
    if (size > most) throw new Error(`larger than ${most} bytes`);
    return { text: await readFile(path, "utf8"), from };
  } catch (cause) {
    throw new TurnaboutError("config_invalid", `${from}: ${(cause as Error).message}`, {
      cause,
      hint: "check the path, and that the user of this process may read it",
    });
  }
}

/** @throws TurnaboutError `config_invalid` */
function check({ cert, key, clientCa, clientCrl }: Texts): RevocationList {
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

/** When they end, in Unix seconds: for the metrics. */
export function certificateEnds(tls: PortTls | undefined): Record<string, number> {
  if (tls === undefined) return {};
  const endS = (text: string) =>
    Math.min(
      ...parseCertificates({ text, from: "" }).map(({ validToDate }) => validToDate.getTime() / 1_000),
    );
  return { server: endS(tls.cert), ...(tls.clientCa !== undefined && { client_ca: endS(tls.clientCa) }) };
}
