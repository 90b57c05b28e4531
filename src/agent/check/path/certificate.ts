/** The control plane's certificate, as this machine judges it. */
import { joinReasons } from "../../../wire/errors.ts";
import type { X509Certificate } from "node:crypto";
import { dateProblem, nameLine, warnsFromMs } from "../../../wire/tls/pem.ts";
import { hostAndPort } from "../../transport/server-url.ts";
import { serverCertificateAdvice } from "../../transport/tls-errors.ts";
import { dateOf } from "./clock.ts";
import type { CheckContext } from "../context.ts";
import type { HttpSeen, TlsSeen } from "./exchange.ts";

const DATE_PROBLEMS: ReadonlySet<string> = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

/** @returns whether it is trusted */
export function judgeCertificate(
  context: CheckContext,
  { certificate, problem, protocol }: TlsSeen,
  http: HttpSeen | undefined,
): boolean {
  const { findings, now, options } = context;
  const isInsecure = options.insecure === true;
  if (problem !== undefined) {
    const { seen, remedy } = explain(context, problem, certificate, http);
    if (!isInsecure) findings.fail("tls", "", seen, remedy);
    else findings.warn("tls", "", joinReasons([seen, "not refused because of --insecure"]), remedy);
    return isInsecure;
  }
  if (certificate === undefined) {
    findings.ok("tls", "", String(protocol));
    return true;
  }
  const until = certificate.validToDate.toISOString();
  const about = `${protocol}, certificate of ${nameLine(certificate.subject) || "no name"}, valid until ${until}`;
  if (now() >= warnsFromMs(certificate)) {
    findings.warn("tls", "", `the certificate expires soon: ${about}`, "renew it at the control plane");
  } else if (isInsecure) {
    findings.warn("tls", "", about, "remove --insecure: the certificate is trusted without it");
  } else findings.ok("tls", "", about);
  return true;
}

function explain(
  { options, url }: CheckContext,
  problem: string,
  certificate: X509Certificate | undefined,
  http: HttpSeen | undefined,
): { seen: string; remedy: string } {
  if (certificate !== undefined && DATE_PROBLEMS.has(problem)) {
    const serverMs = dateOf(http);
    const seen = `the certificate ${dateProblem(certificate) ?? problem}`;
    if (serverMs !== undefined && dateProblem(certificate, serverMs) === undefined) {
      return {
        seen: `${seen}, but is valid by the control plane's clock`,
        remedy: "correct this machine's clock",
      };
    }
    return { seen, remedy: "renew it at the control plane; if it is valid, correct this machine's clock" };
  }
  if (problem === "ERR_TLS_CERT_ALTNAME_INVALID") {
    const expected = options.serverName ?? hostAndPort(url).host;
    const names = certificate?.subjectAltName ?? "no name";
    return {
      seen: `the certificate is for ${names}, and not for ${expected}`,
      remedy: "use one of its names in --server, or give it with --server-name",
    };
  }
  const issuer = certificate === undefined ? "" : ` (issuer ${nameLine(certificate.issuer)})`;
  const seen = `the certificate is not trusted: ${problem}${issuer}`;
  const advice =
    serverCertificateAdvice({ code: problem }, options.caFile) ?? "give the CA's certificate with --ca";
  return { seen, remedy: `${advice}; a public server may lack its intermediate certificates` };
}
