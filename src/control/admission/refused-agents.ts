/**
 * Agents that are not admitted: what is logged, and how the reason reaches the agent. Some do not want to be: they only check
 * the way.
 */
import type { ClientHttp2Session } from "node:http2";
import { TLSSocket } from "node:tls";
import type { Carrier } from "../../wire/session/carrier.ts";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import { joinReasons, TurnaboutError, withoutFullStop } from "../../wire/errors.ts";
import { sendGoaway } from "../../wire/session/goaway.ts";
import { nameLine } from "../../wire/tls/pem.ts";
import { destroyHttp2Session } from "../../wire/session/reversed-session.ts";
import { hasEnded } from "../../wire/streams/end-stream.ts";
import { AGENT_REQUEST_TIMEOUT_MS } from "../limits.ts";
import type { RateLimitedLog } from "../listener/rate-limited-log.ts";
import type { Registry } from "../registry/registry.ts";
import type { AgentBudget } from "./agent-budgets.ts";
import { currentCredential } from "./agent-credential.ts";
import type { AgentCredential, CredentialContext } from "./agent-credential.ts";

export function logRefusal(carrier: Carrier, reason: Error, log: RateLimitedLog): void {
  log.warn(
    { carrier: carrier.kind, peer: carrier.remoteAddress, ...presented(carrier), reason: reason.message },
    "agent not admitted",
  );
}

/** The client certificate that the agent has presented, if any. */
function presented({ stream }: Carrier): { subject?: string; serial?: string } {
  const certificate = stream instanceof TLSSocket ? stream.getPeerX509Certificate() : undefined;
  if (certificate === undefined) return {};
  return { subject: nameLine(certificate.subject), serial: certificate.serialNumber };
}

/** Adds the runners that a client certificate is for: unlike a token's patterns, its owner can look them up nowhere else. */
export function explainRefusal(reason: Error, { identity, certificate }: AgentCredential): Error {
  if (certificate === undefined) return reason;
  if (!(reason instanceof TurnaboutError) || reason.code !== "not_allowed") return reason;
  const runners = [...new Set(identity.grant.runners)].join(", ");
  const detail = `the client certificate is for ${runners}: use one for this runner too`;
  return new TurnaboutError("not_allowed", joinReasons([reason.message, detail]), { details: [detail] });
}

/** Sends the reason in GOAWAY; then closes the HTTP/2 session. */
export function refuseSession(http2Session: ClientHttp2Session, carrier: Carrier, reason: Error): void {
  if (hasEnded(http2Session)) return;
  const { code, details } =
    reason instanceof TurnaboutError ? reason : { code: "internal" as const, details: undefined };
  sendGoaway(http2Session, {
    reason: "refused",
    message: sentence(`${code}: ${ERROR_TABLE[code].text}`, details),
  });
  closeSession(http2Session, carrier, reason);
}

/** A connection that is not meant to be registered. */
export interface AgentCheck {
  carrier: Carrier;
  http2Session: ClientHttp2Session;
  credential: AgentCredential;
  /** Runners that it would register. */
  runners: readonly string[];
  standby: boolean;
  budget: AgentBudget;
}

/**
 * The end of a check is a GOAWAY without a reason.
 *
 * @throws TurnaboutError as {@link Registry.checkMayRegister}, or `unauthenticated`, `rate_limited`
 */
export function endCheck(check: AgentCheck, context: CredentialContext & { registry: Registry }): void {
  const { budget, carrier, credential, http2Session, runners, standby } = check;
  const { identity } = currentCredential(credential, context);
  if (!budget.checks.take()) {
    const message = `agents of ${identity.id} check the way too often`;
    throw new TurnaboutError("rate_limited", message, { retryAfterS: 1 });
  }
  context.registry.checkMayRegister(runners, identity, undefined, standby);
  const fields = { carrier: carrier.kind, credential: identity.id, peer: carrier.remoteAddress };
  budget.log.info(fields, "agent check");
  closeSession(http2Session, carrier, new TurnaboutError("tunnel_timeout", "the check has not ended"));
}

/** By force if the agent keeps it open. */
function closeSession(http2Session: ClientHttp2Session, carrier: Carrier, reason: Error): void {
  http2Session.close();
  const timer = setTimeout(
    () => destroyHttp2Session(http2Session, carrier.stream, reason),
    AGENT_REQUEST_TIMEOUT_MS,
  );
  timer.unref();
  http2Session.once("close", () => {
    clearTimeout(timer);
    carrier.stream.destroy();
  });
}

function sentence(text: string, details: readonly string[] | undefined): string {
  return details === undefined ? text : `${withoutFullStop(text)}: ${joinReasons(details)}`;
}
