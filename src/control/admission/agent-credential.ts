/** The credential of an agent on rh2: its client certificate if that is good, otherwise the token that is requested from it. */
import type { ClientHttp2Session } from "node:http2";
import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { Carrier } from "../../wire/session/carrier.ts";
import { joinReasons, TurnaboutError } from "../../wire/errors.ts";
import { AGENT_PATHS } from "../../wire/protocol.ts";
import { certificateIdentity } from "../auth/certificate-identity.ts";
import type { ClientCertificates } from "../auth/client-certificates.ts";
import type { Identity } from "../auth/identity.ts";
import type { TokenStore } from "../auth/tokens.ts";
import { getAgentJson } from "./agent-client.ts";

export interface AgentCredential {
  identity: Identity;
  /** Undefined if it is a token. */
  certificate: X509Certificate | undefined;
}

export interface CredentialContext {
  tokens: TokenStore;
  certificates: ClientCertificates;
}

/** @throws TurnaboutError `unauthenticated` with what is wrong with both, or as {@link getAgentJson} */
export async function identify(
  carrier: Carrier,
  http2Session: ClientHttp2Session,
  { tokens, certificates }: CredentialContext,
): Promise<AgentCredential> {
  const socket = carrier.stream as TLSSocket;
  const certificate = socket.getPeerX509Certificate();
  const problem = certificateProblem(socket, certificate, certificates);
  if (certificate !== undefined && problem === undefined) {
    const identity = certificateIdentity(certificate);
    if (identity !== undefined) return { identity, certificate };
  }
  const token = await requestToken(http2Session);
  const identity = token === undefined ? undefined : tokens.find(token);
  if (identity !== undefined) return { identity, certificate: undefined };
  tokens.refused.add(token === undefined ? "certificate" : tokens.refusalOf(token));
  throw unauthenticated(
    problem ?? "the client certificate does not name a runner",
    token === undefined ? "no token was sent" : `the token is ${tokens.refusalOf(token)}`,
  );
}

/**
 * The credential as it is now: it may have changed while the agent connected.
 *
 * @throws TurnaboutError `unauthenticated` if it has been revoked
 */
export function currentCredential(
  { identity, certificate }: AgentCredential,
  { tokens, certificates }: CredentialContext,
): AgentCredential {
  if (certificate === undefined) {
    const current = tokens.current(identity);
    if (current !== undefined) return { identity: current, certificate };
    tokens.refused.add("revoked");
    throw new TurnaboutError("unauthenticated", "the credential was revoked while the agent connected");
  }
  const refusal = certificates.refusal(certificate);
  if (refusal === undefined) return { identity, certificate };
  tokens.refused.add("certificate");
  throw unauthenticated(refusal.reason);
}

/** Undefined if the certificate is good. */
function certificateProblem(
  socket: TLSSocket,
  certificate: X509Certificate | undefined,
  certificates: ClientCertificates,
): string | undefined {
  if (!certificates.isEnabled) {
    return "no client certificate was requested (the control plane has no --client-ca)";
  }
  if (certificate === undefined) return "no client certificate was presented";
  const refusal = certificates.refusal(certificate);
  if (refusal !== undefined) return refusal.reason;
  if (socket.authorized) return undefined;
  const code = String(socket.authorizationError);
  const purpose = code === "INVALID_PURPOSE" ? " (it was not issued for TLS clients)" : "";
  return `the client certificate (serial ${certificate.serialNumber}) is not accepted: ${code}${purpose}`;
}

/** Undefined if the agent has no token: then its certificate is what it was meant to be admitted by. */
async function requestToken(http2Session: ClientHttp2Session): Promise<string | undefined> {
  try {
    const body = (await getAgentJson(http2Session, AGENT_PATHS.credential)) as { token?: unknown } | null;
    return typeof body?.token === "string" ? body.token : undefined;
  } catch (error) {
    if (error instanceof TurnaboutError && error.code === "tunnel_protocol") return undefined;
    throw error;
  }
}

function unauthenticated(...details: string[]): TurnaboutError {
  return new TurnaboutError("unauthenticated", `rh2: ${joinReasons(details)}`, { details });
}
