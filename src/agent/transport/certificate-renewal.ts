/** Watches the file of the client certificate, so that a renewed one is used before the current one expires. */
import type { X509Certificate } from "node:crypto";
import type { Logger } from "../../wire/log.ts";
import { poll } from "../../wire/poll.ts";
import { dateProblem, isPair, parseCertificates, warnsFromMs } from "../../wire/tls/pem.ts";
import { readPair } from "./credentials.ts";
import type { TlsFiles } from "./credentials.ts";
import { RENEWAL_POLL_MS } from "../limits.ts";

export interface RenewalWatchOptions {
  files: TlsFiles;
  log: Logger;
  /** The certificate in the file, initially and after each change; only if it can be used now. */
  onCertificate: (certificate: X509Certificate) => void;
}

/** @returns stops watching */
export function watchRenewal({ files, log, onCertificate }: RenewalWatchOptions): () => void {
  let seen = "";
  let warned = "";

  async function check(): Promise<void> {
    const pair = await readPair(files);
    // One of the two files is still being replaced.
    if (pair === undefined || !isPair(pair.cert, pair.key)) return;
    const [certificate] = parseCertificates(pair.cert);
    const { serialNumber: serial, validToDate: until, fingerprint256 } = certificate;
    const problem = dateProblem(certificate);
    if (warned !== serial && Date.now() >= warnsFromMs(certificate)) {
      warned = serial;
      const fields = { path: files.certFile, serial, until };
      log.warn(
        fields,
        problem === undefined ? "the client certificate expires soon" : `the client certificate ${problem}`,
      );
    }
    if (fingerprint256 === seen || problem !== undefined) return;
    if (seen !== "") log.info({ path: files.certFile, serial, until }, "the client certificate was renewed");
    seen = fingerprint256;
    onCertificate(certificate);
  }

  return poll(check, {
    intervalMs: RENEWAL_POLL_MS,
    startsAtOnce: true,
    onError: ({ message }) => log.warn({ reason: message }, "the client certificate's files are not usable"),
  });
}
