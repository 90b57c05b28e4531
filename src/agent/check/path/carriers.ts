/** Every carrier, with its round trip or with the reason why it does not work. */
import { isErrorCode } from "../../../wire/error-table.ts";
import type { ErrorCode } from "../../../wire/error-table.ts";
import { toError, TurnaboutError } from "../../../wire/errors.ts";
import { CARRIER_KINDS } from "../../../wire/session/carrier.ts";
import type { CarrierKind } from "../../../wire/session/carrier.ts";
import type { CheckContext } from "../context.ts";
import { isTimeout } from "../in-time.ts";
import { probeCarrier } from "./probe.ts";
import type { CarrierWorks } from "./probe.ts";

export interface CarrierResult {
  kind: CarrierKind;
  works?: CarrierWorks;
  error?: Error;
  /** Why it was not tried. */
  skipped?: string;
}

/** Refusals that say nothing about the carrier: the control plane has got the request. */
const ABOUT_CREDENTIAL: ReadonlySet<ErrorCode> = new Set([
  "unauthenticated",
  "not_allowed",
  "runner_taken",
  "rate_limited",
  "bad_request",
  "overloaded",
  "control_plane_draining",
]);

/** The code of a refusal that is about the credential or its runners. */
export function refusedCode({ error }: CarrierResult): ErrorCode | undefined {
  const code = error instanceof TurnaboutError ? error.code : undefined;
  return code !== undefined && isErrorCode(code) && ABOUT_CREDENTIAL.has(code) ? code : undefined;
}

export async function probeCarriers(
  context: CheckContext,
  token: string | undefined,
): Promise<CarrierResult[]> {
  const tried = CARRIER_KINDS.map(async (kind): Promise<CarrierResult> => {
    const skipped = reasonToSkip(kind, context, token);
    if (skipped !== undefined) return { kind, skipped };
    try {
      return { kind, works: await probeCarrier(kind, context, token) };
    } catch (error) {
      return { kind, error: toError(error) };
    }
  });
  return Promise.all(tried);
}

function reasonToSkip(
  kind: CarrierKind,
  context: CheckContext,
  token: string | undefined,
): string | undefined {
  const { options, socketPath, url } = context;
  const hasCertificate = options.certFile !== undefined && options.keyFile !== undefined;
  if (kind === "rh2" && (url.protocol !== "https:" || socketPath !== undefined)) return "needs https://";
  if (kind === "h2" && socketPath !== undefined) return "a relay does not forward it";
  if (token !== undefined || (kind === "rh2" && hasCertificate)) return undefined;
  return hasCertificate ? "needs a token; the client certificate is for rh2" : "needs a token";
}

export function reportCarriers({ findings, options }: CheckContext, results: readonly CarrierResult[]): void {
  const { carrier: choice = "auto" } = options;
  const working = results.find(({ works }) => works !== undefined)?.kind;
  for (const result of results) {
    const { error, kind, skipped, works } = result;
    if (works !== undefined) {
      const seen = `works, round trip ${Math.round(works.roundTripMs * 10) / 10} ms`;
      findings.ok("carrier", kind, seen, works.ms);
      continue;
    }
    const refused = refusedCode(result);
    if (error === undefined || refused !== undefined) {
      findings.skip(
        "carrier",
        kind,
        skipped ?? `the control plane refuses the agent (${refused}): see token`,
      );
      continue;
    }
    const seen = error.message.replace(`${kind}: `, "");
    const isNeeded = choice === kind || (choice === "auto" && working === undefined);
    const remedy = findings.has("endpoint", "failed") ? "see endpoint" : explain(kind, error);
    if (isNeeded) findings.fail("carrier", kind, seen, withAlternative(remedy, choice, working));
    else if (working === undefined) findings.warn("carrier", kind, seen, `not needed: --carrier ${choice}`);
    else
      findings.warn(
        "carrier",
        kind,
        seen,
        `not needed: ${working} works${kind === "ptth" ? `; or ${remedy}` : ""}`,
      );
  }
}

function withAlternative(remedy: string, choice: string, working: CarrierKind | undefined): string {
  return choice === "auto" || working === undefined
    ? remedy
    : `${remedy}; or use --carrier ${working}, which works`;
}

const PASS_UPGRADE =
  "let the proxy in front pass upgrades: nginx needs proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and proxy_set_header Connection upgrade";

function explain(kind: CarrierKind, error: Error): string {
  const code = error instanceof TurnaboutError ? error.code : undefined;
  if (code === "upgrade_required") return `something on the way removes Upgrade: ${PASS_UPGRADE}`;
  if (kind === "rh2")
    return "TLS has to reach the control plane unopened: pass it through, or use another carrier";
  if (kind === "h2") return "the proxy in front has to speak HTTP/2 with Extended CONNECT (RFC 8441)";
  if (isTimeout(error) || /in time/.test(error.message)) {
    return `something on the way does not respond to the upgrade: ${PASS_UPGRADE}`;
  }
  return `check what is in front of the control plane: ${PASS_UPGRADE}`;
}
