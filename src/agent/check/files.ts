/** The files that an agent is given: its token, a CA, a client certificate. Their contents are in no finding. */
import { stat } from "node:fs/promises";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { inPlaceOfFile } from "../../wire/fields/secret-text.ts";
import { dateProblem, isPair, nameLine, parseCertificates, warnsFromMs } from "../../wire/tls/pem.ts";
import { readPair, readSecret } from "../transport/credentials.ts";
import type { CheckContext } from "./context.ts";

const READABLE_BY_ALL = 0o004;

/** @returns the token; undefined if there is none that can be sent */
export async function checkToken({
  findings,
  options: { token },
}: CheckContext): Promise<string | undefined> {
  if (token === undefined) {
    findings.skip("token file", "", "no token is given");
    return undefined;
  }
  const subject = "file" in token && inPlaceOfFile(token.file) === undefined ? token.file : "";
  let text: string;
  try {
    text = await readSecret(token, "token");
  } catch (error) {
    report(findings, "token file", subject, error);
    return undefined;
  }
  findings.addSecret(text);
  const isOpen =
    subject !== "" && ((await stat(subject).catch(() => undefined))?.mode ?? 0) & READABLE_BY_ALL;
  if (isOpen)
    findings.warn("token file", subject, "every user of this machine can read it", `chmod 600 ${subject}`);
  else findings.ok("token file", subject, subject === "" ? "a token, not from a file" : "one token");
  return text;
}

export async function checkCertificateFiles({ findings, now, options }: CheckContext): Promise<void> {
  const { caFile, certFile } = options;
  if (caFile !== undefined) {
    try {
      const text = await readSecret({ file: caFile }, "CA");
      const [first] = parseCertificates({ text, from: `CA file ${caFile}` });
      const problem = dateProblem(first, now());
      if (problem === undefined) findings.ok("CA file", caFile, nameLine(first.subject));
      else
        findings.fail("CA file", caFile, `the certificate ${problem}`, "give the CA's current certificate");
    } catch (error) {
      report(findings, "CA file", caFile, error);
    }
  }
  if (certFile === undefined) return;
  try {
    const pair = await readPair(options);
    if (pair === undefined) return;
    const [own] = parseCertificates(pair.cert);
    const problem = dateProblem(own, now());
    const until = own.validToDate.toISOString();
    if (!isPair(pair.cert, pair.key)) {
      findings.fail(
        "client certificate",
        certFile,
        "the key is another certificate's",
        "give a matching pair",
      );
    } else if (problem !== undefined) {
      findings.fail(
        "client certificate",
        certFile,
        `it ${problem}`,
        "renew it, or correct this machine's clock",
      );
    } else if (now() >= warnsFromMs(own)) {
      findings.warn("client certificate", certFile, `it expires soon, at ${until}`, "renew it");
    } else findings.ok("client certificate", certFile, `${nameLine(own.subject)}, valid until ${until}`);
  } catch (error) {
    report(findings, "client certificate", certFile, error);
  }
}

function report(
  findings: CheckContext["findings"],
  check: "CA file" | "client certificate" | "token file",
  subject: string,
  cause: unknown,
): void {
  const error = toError(cause);
  const hint = error instanceof TurnaboutError ? error.hint : undefined;
  findings.fail(check, subject, error.message, hint ?? "correct the file");
}
