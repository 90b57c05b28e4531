/**
 * Admits an agent: from its carrier to a registered connection, the same for every carrier. The agent identifies itself
 * (HTTP/2 session, credential, `/hello`) and is registered; or it is refused, with the reason in GOAWAY and in the log.
 */
import { randomBytes } from "node:crypto";
import type { ClientHttp2Session } from "node:http2";
import { receivedBytes } from "../../wire/session/carrier.ts";
import type { Carrier } from "../../wire/session/carrier.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { parseHello } from "../../wire/messages/hello.ts";
import type { Hello } from "../../wire/messages/hello.ts";
import { describeDeath, keepAlive } from "../../wire/session/keepalive.ts";
import type { KeepaliveOptions } from "../../wire/session/keepalive.ts";
import { systemErrorText } from "../../wire/system/system-errors.ts";
import type { Logger } from "../../wire/log.ts";
import { CAPABILITY, HEADER } from "../../wire/protocol.ts";
import { parseGoaway } from "../../wire/session/goaway.ts";
import { destroyHttp2Session, openReversed } from "../../wire/session/reversed-session.ts";
import type { ClientCertificates } from "../auth/client-certificates.ts";
import type { Identity } from "../auth/identity.ts";
import type { TokenStore } from "../auth/tokens.ts";
import type { RateLimitedLog } from "../listener/rate-limited-log.ts";
import { AgentConnection } from "../registry/agent-connection.ts";
import type { RefusedRunner, Registry } from "../registry/registry.ts";
import type { CallerShares } from "../shares/fair-shares.ts";
import { agentHolder } from "../shares/holders.ts";
import type { TunnelFigures } from "../registry/tunnel-figures.ts";
import { Http2Tunnel } from "../tunnels/http2-tunnel.ts";
import type { AgentBudget, AgentBudgets } from "./agent-budgets.ts";
import { getHello } from "./agent-client.ts";
import { currentCredential, identify } from "./agent-credential.ts";
import type { AgentCredential } from "./agent-credential.ts";
import { followEvents } from "./agent-events.ts";
import type { CertificateExpiry } from "./certificate-expiry.ts";
import { endCheck, explainRefusal, logRefusal, refuseSession } from "./refused-agents.ts";
import type { AgentCheck } from "./refused-agents.ts";
import { reportRefused } from "./refused-runners.ts";
import type { ReconnectSpread } from "./reconnect-spread.ts";

export interface AdmissionContext {
  registry: Registry;
  tokens: TokenStore;
  log: Logger;
  keepalive: KeepaliveOptions;
  certificates: ClientCertificates;
  refusalLog: RateLimitedLog;
  certificateExpiry: CertificateExpiry;
  reconnectSpread: ReconnectSpread;
  agentBudgets: AgentBudgets;
  /** Every admitted connection until it closes, also one that serves no runner. */
  openConnections: Set<AgentConnection>;
  tunnelFigures: TunnelFigures;
  shares: Pick<CallerShares, "turns">;
}

/** What the request to the agent endpoint has established. On rh2 there is no request. */
export interface EndpointRequest {
  /** Of its bearer token. Undefined on rh2, where the certificate or the agent's `/credential` identifies it. */
  identity: Identity | undefined;
  standby: boolean;
  /** The first runner that it names. Undefined on rh2. */
  runner?: string | undefined;
  /** Undefined if the request did not name it. */
  processId?: string | undefined;
  /** It announces that it only checks the way. On rh2 that is known from the response to `/hello` alone. */
  isCheck?: boolean | undefined;
}

/** Runners of a connection that a log line names: their events name all of them. */
const LOGGED_RUNNERS = 16;

/** An agent that has identified itself. */
interface IdentifiedAgent {
  kind: "identified";
  carrier: Carrier;
  http2Session: ClientHttp2Session;
  credential: AgentCredential;
  hello: Hello;
  standby: boolean;
  reconnectSpreadMs: number;
  budget: AgentBudget;
  /** The runner whose connections are counted: {@link AgentBudget.checkConnect}. */
  countedFor: string;
}

/** One that only checks the way: nothing is registered. */
interface CheckingAgent extends Omit<IdentifiedAgent, "hello" | "kind" | "reconnectSpreadMs">, AgentCheck {
  kind: "checking";
}

interface Refusal {
  kind: "refused";
  reason: Error;
  /** To send the reason on; undefined if no session was established. */
  http2Session: ClientHttp2Session | undefined;
  /** Of its credential, as far as that is known. */
  budget: AgentBudget | undefined;
  countedFor: string;
}

/** Never throws: a carrier that is not admitted is closed. */
export async function admit(
  carrier: Carrier,
  request: EndpointRequest,
  context: AdmissionContext,
): Promise<void> {
  const { identity } = request;
  const known = identity === undefined ? undefined : context.agentBudgets.of(identity.id);
  const admitted = known?.admitting();
  // Permanently: until the session begins, nothing else listens.
  carrier.stream.on("error", () => {});
  // A thousand agents of one credential do not all begin in the turn in which they have come.
  if (identity !== undefined) await context.shares.turns.turn(agentHolder(identity));
  const agent = await identifyAgent(carrier, request, context);
  admitted?.();
  // No await from here to the end: a token that is revoked next finds the connection in `openConnections`.
  const refusal = agent.kind === "refused" ? agent : settle(agent, context);
  if (refusal === undefined) return;
  refusal.budget?.notAdmitted(refusal.countedFor, refusal.reason);
  noteNotAllowed(refusal.reason, context);
  new Guard((error) => carrier.stream.destroy(error)).run(() => {
    logRefusal(carrier, refusal.reason, context.refusalLog);
    if (refusal.http2Session === undefined) carrier.stream.destroy();
    else refuseSession(refusal.http2Session, carrier, refusal.reason);
  });
}

/** Counts an agent whose credential is good, but not for its runner. */
export function noteNotAllowed(reason: unknown, { tokens }: Pick<AdmissionContext, "tokens">): void {
  if (reason instanceof TurnaboutError && reason.code === "not_allowed") tokens.refused.add("not-allowed");
}

/** Opens the HTTP/2 session, and asks the agent who it is and what it serves. */
async function identifyAgent(
  carrier: Carrier,
  request: EndpointRequest,
  context: AdmissionContext,
): Promise<CheckingAgent | IdentifiedAgent | Refusal> {
  let http2Session: ClientHttp2Session | undefined;
  let identity = request.identity;
  try {
    http2Session = await openReversed(carrier.stream);
    const credential =
      identity === undefined
        ? await identify(carrier, http2Session, context)
        : { identity, certificate: undefined };
    ({ identity } = credential);
    const reconnectSpreadMs = context.reconnectSpread.ms;
    const fields = { [HEADER.reconnectSpread]: String(reconnectSpreadMs) };
    const budget = context.agentBudgets.of(identity.id);
    const response = await getHello(http2Session, fields);
    if ("checked" in response) {
      const { checked: runners } = response;
      const { standby, runner: countedFor = "" } = request;
      return { kind: "checking", carrier, http2Session, credential, standby, budget, countedFor, runners };
    }
    if (request.isCheck === true) {
      throw new TurnaboutError("tunnel_protocol", "hello: the upgrade request has announced a check");
    }
    const hello = parseHello(response.hello);
    if (request.processId !== undefined && request.processId !== hello.instance) {
      throw new TurnaboutError(
        "tunnel_protocol",
        "hello: instance differs from the one in the upgrade request",
      );
    }
    const standby = request.standby || hello.standby;
    const countedFor = request.runner ?? hello.runners[0]?.id ?? "";
    if (request.runner === undefined) budget.checkConnect(countedFor);
    const identified = { carrier, http2Session, credential, hello, standby, reconnectSpreadMs };
    return { kind: "identified", ...identified, budget, countedFor };
  } catch (cause) {
    const budget = identity === undefined ? undefined : context.agentBudgets.of(identity.id);
    const countedFor = request.runner ?? "";
    return { kind: "refused", reason: toError(cause), http2Session, budget, countedFor };
  }
}

/** Undefined if the agent is admitted, or its check has passed. */
function settle(agent: CheckingAgent | IdentifiedAgent, context: AdmissionContext): Refusal | undefined {
  const { http2Session, credential, budget, countedFor } = agent;
  try {
    if (agent.kind === "checking") endCheck(agent, context);
    else register(agent, context);
    return undefined;
  } catch (cause) {
    const reason = explainRefusal(toError(cause), credential);
    return { kind: "refused", reason, http2Session, budget, countedFor };
  }
}

/** Registers the connection, and follows it until it closes. @throws TurnaboutError if it is refused */
function register(agent: IdentifiedAgent, context: AdmissionContext): void {
  const { http2Session, hello, budget, countedFor } = agent;
  const credential = currentCredential(agent.credential, context);
  const connection = createConnection({ ...agent, credential }, context);
  const refusedRunners = enrol(connection, { budget, countedFor }, context);
  const followed = { ...context, budget };
  reportRefused(connection, refusedRunners, followed);
  if (hello.capabilities.includes(CAPABILITY.events)) void followEvents(connection, followed);
  context.certificateExpiry.added(connection);
  http2Session.on("goaway", (_code, _last, data) => {
    const goaway = parseGoaway(data);
    if (goaway !== undefined)
      budget.log.info(
        { connection: connection.id, credential: connection.identity.id, ...goaway },
        "agent sent GOAWAY",
      );
  });
}

export interface Enrolment {
  budget: AgentBudget;
  /** The runner whose connections are counted: {@link AgentBudget.checkConnect}. */
  countedFor: string;
}

/**
 * Registers a connection, of any protocol, and counts it until it closes.
 *
 * @returns its discovered runners that are refused
 * @throws TurnaboutError as {@link Registry.register}
 */
export function enrol(
  connection: AgentConnection,
  { budget, countedFor }: Enrolment,
  {
    registry,
    openConnections,
    tunnelFigures,
  }: Pick<AdmissionContext, "openConnections" | "registry" | "tunnelFigures">,
): RefusedRunner[] {
  const release = budget.connected();
  let refused: RefusedRunner[];
  try {
    budget.isEnrolling = true;
    refused = registry.register(connection);
  } catch (error) {
    release();
    throw error;
  } finally {
    budget.isEnrolling = false;
  }
  const { tunnel } = connection;
  tunnel.onClose(release);
  openConnections.add(connection);
  tunnel.onClose(() => {
    if (openConnections.delete(connection)) tunnelFigures.closed(connection);
  });
  logConnection(connection, budget);
  tunnel.onClose(() => {
    if (connection.isEndedHere) return;
    const livedMs = Date.now() - connection.since.getTime();
    budget.connectionEnded(countedFor, { livedMs, runners: connection.hello.runners.length });
  });
  return refused;
}

function logConnection({ id, tunnel, runners, identity }: AgentConnection, { log }: AgentBudget): void {
  const served = [...runners.keys()].slice(0, LOGGED_RUNNERS);
  const peer = tunnel.remoteAddress;
  log.info(
    { connection: id, carrier: tunnel.kind, runners: served, credential: identity.id, peer },
    "agent connected",
  );
  tunnel.onClose(() =>
    log.info({ connection: id, runners: served, credential: identity.id }, "agent connection closed"),
  );
}

function createConnection(agent: IdentifiedAgent, context: AdmissionContext): AgentConnection {
  const { carrier, http2Session, credential, hello } = agent;
  const id = randomBytes(6).toString("hex");
  const roundTrips = context.tunnelFigures.roundTrips[carrier.kind];
  const liveness = keepAlive(
    http2Session,
    receivedBytes(carrier.stream),
    (death) => {
      const silentMs = Math.round(death.silentMs);
      const reason = describeDeath(death);
      context.log.warn(
        { connection: id, silentMs, reason },
        "agent does not respond to PING; closing the connection",
      );
      connection.noteEnd(`the agent does not respond to PING: ${reason}`);
      const error = new TurnaboutError("tunnel_lost", "the agent stopped responding to PING");
      destroyHttp2Session(http2Session, carrier.stream, error);
    },
    { ...context.keepalive, onRoundTrip: (ms) => roundTrips.observeMs(ms) },
  );
  const { capabilities } = hello;
  const tunnel = new Http2Tunnel({ carrier, http2Session, liveness, capabilities });
  const connection = new AgentConnection({ id, tunnel, ...credential, hello });
  connection.standby = agent.standby;
  connection.reconnectSpreadMs = agent.reconnectSpreadMs;
  carrier.stream.on("error", (error) => connection.noteEnd(systemErrorText(error) ?? error.message));
  return connection;
}
