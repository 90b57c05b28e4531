/** From an accepted carrier to a registered connection: session, identity, /hello, registry. The same for every door. */
import { randomBytes } from "node:crypto";
import type { ClientHttp2Session } from "node:http2";
import type { X509Certificate } from "node:crypto";
import { TLSSocket } from "node:tls";
import { receivedBytes } from "../../wire/session/carrier.ts";
import type { Carrier } from "../../wire/session/carrier.ts";
import { hasEnded } from "../../wire/streams/end-stream.ts";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { parseHello } from "../../wire/messages/hello.ts";
import type { Hello } from "../../wire/messages/hello.ts";
import { describeDeath, keepAlive } from "../../wire/session/keepalive.ts";
import type { KeepaliveOptions } from "../../wire/session/keepalive.ts";
import type { Logger } from "../../wire/log.ts";
import { nameLine } from "../../wire/session/pem.ts";
import { AGENT_PATHS, CAPABILITY, HEADER } from "../../wire/protocol.ts";
import { parseGoaway, sendGoaway } from "../../wire/session/goaway.ts";
import { destroySession, openReversed } from "../../wire/session/reversed-session.ts";
import type { ClientCertificates } from "../auth/client-certificates.ts";
import { certificateIdentity } from "../auth/certificates.ts";
import type { Identity } from "../auth/identity.ts";
import type { TokenStore } from "../auth/tokens.ts";
import { getAgentJson } from "./agent-client.ts";
import type { CertificateExpiry } from "./certificate-expiry.ts";
import { AgentConnection } from "../registry/agent-connection.ts";
import { followEvents } from "./agent-events.ts";
import { AGENT_REQUEST_TIMEOUT_MS } from "../limits.ts";
import { reportRefused } from "./refused-runners.ts";
import type { ReconnectSpread } from "./reconnect-spread.ts";
import type { RateLimitedLog } from "../listener/rate-limited-log.ts";
import type { Registry } from "../registry/registry.ts";

export interface AdmissionContext {
  registry: Registry;
  tokens: TokenStore;
  log: Logger;
  keepalive: KeepaliveOptions;
  certificates: ClientCertificates;
  refusals: RateLimitedLog;
  watch: CertificateExpiry;
  spread: ReconnectSpread;
  /** Every admitted connection until it closes, also one that serves no runner any more. */
  opened: Set<AgentConnection>;
}

export interface Admission {
  /** Known already where an HTTP request carried a token; on rh2 it is found out. */
  identity: Identity | undefined;
  standby: boolean;
  /** As the request at the door says, if it does. */
  instance?: string | undefined;
}

/** Who it is, and the certificate that says so. */
interface Known {
  identity: Identity;
  certificate: X509Certificate | undefined;
}

/** Never throws: a carrier that is not admitted is closed, with the reason in GOAWAY and in the log. */
export async function admit(
  carrier: Carrier,
  admission: Admission,
  context: AdmissionContext,
): Promise<void> {
  let session: ClientHttp2Session | undefined;
  let known: Known | undefined;
  const { log } = context;
  try {
    session = await openReversed(carrier.stream);
    known =
      admission.identity === undefined
        ? await identify(carrier, session, context)
        : { identity: admission.identity, certificate: undefined };
    const spreadMs = context.spread.ms;
    const fields = { [HEADER.reconnectSpread]: String(spreadMs) };
    const hello = parseHello(await getAgentJson(session, AGENT_PATHS.hello, fields));
    if (admission.instance !== undefined && admission.instance !== hello.instance) {
      throw new TurnaboutError("tunnel_protocol", "hello: the instance is not the one named at the door");
    }
    known = current(known, context); // from here to the registration nothing waits
    const { identity } = known;
    const connection = createConnection(carrier, session, known, hello, context);
    connection.standby ||= admission.standby;
    connection.reconnectSpreadMs = spreadMs;
    const refused = context.registry.register(connection);
    reportRefused(connection, refused, context);
    if (hello.capabilities.includes(CAPABILITY.events)) void followEvents(connection, context);
    context.opened.add(connection);
    context.watch.added(connection);
    session.once("close", () => context.opened.delete(connection));
    session.on("goaway", (_code, _last, data) => {
      const goaway = parseGoaway(data);
      if (goaway !== undefined) log.info({ connection: connection.id, ...goaway }, "agent says goodbye");
    });
    const runners = [...connection.runners.keys()];
    log.info(
      {
        connection: connection.id,
        carrier: carrier.kind,
        runners,
        credential: identity.id,
        peer: carrier.remoteAddress,
      },
      "agent connected",
    );
    session.once("close", () => log.info({ connection: connection.id, runners }, "agent connection closed"));
  } catch (cause) {
    new Guard((error) => carrier.stream.destroy(error)).run(() => {
      const error = explained(toError(cause), known);
      context.refusals.warn(
        {
          carrier: carrier.kind,
          peer: carrier.remoteAddress,
          ...presented(carrier),
          reason: error.message,
        },
        "agent not admitted",
      );
      if (session === undefined) carrier.stream.destroy();
      else refuse(session, carrier, error);
    });
  }
}

/**
 * The credential as it stands now: it may have changed while the agent connected.
 *
 * @throws TurnaboutError `unauthenticated` if it has been revoked
 */
function current(known: Known, { tokens, certificates }: AdmissionContext): Known {
  const { identity, certificate } = known;
  if (certificate === undefined) {
    const current = tokens.current(identity);
    if (current !== undefined) return { identity: current, certificate };
    throw new TurnaboutError("unauthenticated", "the credential was revoked while the agent connected");
  }
  const refusal = certificates.refusal(certificate);
  if (refusal !== undefined) throw unauthenticated(refusal.reason);
  return known;
}

/** A certificate's owner has no table of patterns to look at: it is told what its certificate says. */
function explained(error: Error, known: Known | undefined): Error {
  if (known?.certificate === undefined) return error;
  if (!(error instanceof TurnaboutError) || error.code !== "not_allowed") return error;
  const { runners } = known.identity.grant;
  const detail = `the client certificate is for ${[...new Set(runners)].join(", ")}: use one for this runner too`;
  return new TurnaboutError("not_allowed", `${error.message}; ${detail}`, { details: [detail] });
}

function presented({ stream }: Carrier): { subject?: string; serial?: string } {
  const certificate = stream instanceof TLSSocket ? stream.getPeerX509Certificate() : undefined;
  if (certificate === undefined) return {};
  return { subject: nameLine(certificate.subject), serial: certificate.serialNumber };
}

function unauthenticated(...details: string[]): TurnaboutError {
  return new TurnaboutError("unauthenticated", `rh2: ${details.join("; ")}`, { details });
}

function refuse(session: ClientHttp2Session, carrier: Carrier, error: Error): void {
  if (hasEnded(session)) return;
  const { code, details } =
    error instanceof TurnaboutError ? error : { code: "internal" as const, details: undefined };
  sendGoaway(session, {
    reason: "refused",
    message: sentence(`${code}: ${ERROR_TABLE[code].text}`, details),
  });
  session.close();
  const timer = setTimeout(() => destroySession(session, carrier.stream, error), AGENT_REQUEST_TIMEOUT_MS);
  timer.unref();
  session.once("close", () => {
    clearTimeout(timer);
    carrier.stream.destroy();
  });
}

function sentence(text: string, details: readonly string[] | undefined): string {
  return details === undefined ? text : `${text.replace(/\.$/, "")}: ${details.join("; ")}`;
}

function createConnection(
  carrier: Carrier,
  session: ClientHttp2Session,
  known: Known,
  hello: Hello,
  context: AdmissionContext,
): AgentConnection {
  const id = randomBytes(6).toString("hex");
  const liveness = keepAlive(
    session,
    receivedBytes(carrier.stream),
    (death) => {
      const silentMs = Math.round(death.silentMs);
      const reason = describeDeath(death);
      context.log.warn(
        { connection: id, silentMs, reason },
        "agent does not answer PING; dropping the connection",
      );
      destroySession(
        session,
        carrier.stream,
        new TurnaboutError("tunnel_lost", "the agent stopped answering"),
      );
    },
    context.keepalive,
  );
  return new AgentConnection({ id, carrier, session, ...known, hello, liveness });
}

/** rh2: the certificate if there is a good one, else the token that we ask for first. */
async function identify(
  carrier: Carrier,
  session: ClientHttp2Session,
  context: AdmissionContext,
): Promise<Known> {
  const socket = carrier.stream as TLSSocket;
  const certificate = socket.getPeerX509Certificate();
  const problem = certificateProblem(socket, certificate, context);
  if (certificate !== undefined && problem === undefined) {
    const identity = certificateIdentity(certificate);
    if (identity !== undefined) return { identity, certificate };
  }
  const token = await askToken(session);
  const identity = token === undefined ? undefined : context.tokens.find(token);
  if (identity !== undefined) return { identity, certificate: undefined };
  throw unauthenticated(
    problem ?? "the client certificate names no runner",
    token === undefined ? "there is no token either" : "the token is unknown",
  );
}

/** Undefined if the certificate is good. */
function certificateProblem(
  socket: TLSSocket,
  certificate: X509Certificate | undefined,
  { certificates }: AdmissionContext,
): string | undefined {
  if (!certificates.wanted)
    return "no client certificate was asked for (the control plane has no --client-ca)";
  if (certificate === undefined) return "no client certificate was presented";
  const refusal = certificates.refusal(certificate);
  if (refusal !== undefined) return refusal.reason;
  if (socket.authorized) return undefined;
  const code = String(socket.authorizationError);
  const purpose = code === "INVALID_PURPOSE" ? " (it is not made for TLS clients)" : "";
  return `the client certificate (serial ${certificate.serialNumber}) is not accepted: ${code}${purpose}`;
}

/** Undefined where the agent has none: it is then its certificate that was not good enough. */
async function askToken(session: ClientHttp2Session): Promise<string | undefined> {
  try {
    const answer = (await getAgentJson(session, AGENT_PATHS.credential)) as { token?: unknown } | null;
    return typeof answer?.token === "string" ? answer.token : undefined;
  } catch (error) {
    if (error instanceof TurnaboutError && error.code === "tunnel_protocol") return undefined;
    throw error;
  }
}
