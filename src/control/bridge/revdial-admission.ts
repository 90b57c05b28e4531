/** Admits a RevDial client: from its control connection to a registered connection, like an agent's in everything above it. */
import { randomBytes } from "node:crypto";
import { toError } from "../../wire/errors.ts";
import type { Hello, TargetInfo } from "../../wire/messages/hello.ts";
import { CAPABILITY, PROTOCOL_VERSION } from "../../wire/protocol.ts";
import { describeDeath } from "../../wire/session/keepalive.ts";
import { currentCredential } from "../admission/agent-credential.ts";
import { enrol } from "../admission/admission.ts";
import type { AdmissionContext } from "../admission/admission.ts";
import type { Identity } from "../auth/identity.ts";
import { AgentConnection } from "../registry/agent-connection.ts";
import type { Registry } from "../registry/registry.ts";
import { MAX_STANDBYS, MAX_STREAMS } from "../revdial/limits.ts";
import { RevDialTunnel } from "../revdial/revdial-tunnel.ts";
import type { RevDialTunnelParts } from "../revdial/revdial-tunnel.ts";

/** The one target of a client that serves this runner. */
export type TargetOfRunner = (runnerId: string) => TargetInfo;

export interface RevDialClient extends Pick<
  RevDialTunnelParts,
  "pickupPath" | "pickups" | "remoteAddress" | "socket" | "webSocket"
> {
  identity: Identity;
  runner: string;
}

export interface RevDialAdmissionContext extends AdmissionContext {
  targetOf: TargetOfRunner;
}

/** Never throws: a client that is not admitted is closed. */
export function admitClient(client: RevDialClient, context: RevDialAdmissionContext): void {
  const { runner } = client;
  const { registry, refusalLog } = context;
  const budget = context.agentBudgets.of(client.identity.id);
  let connection: AgentConnection | undefined;
  try {
    const { identity } = currentCredential({ identity: client.identity, certificate: undefined }, context);
    connection = createConnection({ ...client, identity }, context);
    connection.standby = isServedByAgent(runner, registry);
    enrol(connection, { budget, countedFor: runner }, context);
    // From now on: a client knows nothing of stand-bys. When a newer process serves the runner, this one stands by.
    connection.standby = true;
    dropOldStandbys(runner, registry);
  } catch (cause) {
    const reason = toError(cause);
    budget.notAdmitted(runner, reason);
    refusalLog.warn(
      { carrier: "revdial", peer: client.remoteAddress, reason: reason.message },
      "agent not admitted",
    );
    if (connection === undefined) client.webSocket.terminate();
    else connection.drain("refused", reason.message, 0);
  }
}

/** An agent of ours goes first, also before a client that connects again after it: a host is moved step by step. */
function isServedByAgent(runner: string, registry: Registry): boolean {
  const { connections = [] } = registry.view(runner) ?? {};
  return connections.some(({ tunnel, usable }) => usable && tunnel.kind !== "revdial");
}

/** A client that has connected again without closing its last connection leaves that behind. */
function dropOldStandbys(runner: string, registry: Registry): void {
  const { fallbackConnections = [] } = registry.view(runner) ?? {};
  const standbys = fallbackConnections
    .filter(({ tunnel }) => tunnel.kind === "revdial")
    .toSorted((a, b) => a.since.getTime() - b.since.getTime());
  for (const connection of standbys.slice(0, -MAX_STANDBYS)) {
    connection.drain("replaced", `newer clients serve ${runner}`);
  }
}

function createConnection(client: RevDialClient, context: RevDialAdmissionContext): AgentConnection {
  const { identity, runner } = client;
  const id = randomBytes(6).toString("hex");
  const { revdial: roundTrips } = context.tunnelFigures.roundTrips;
  const hello: Hello = {
    protocol: PROTOCOL_VERSION,
    version: "revdial",
    instance: randomBytes(16).toString("hex"),
    bootEpochMs: 0,
    standby: false,
    capabilities: [CAPABILITY.websocket],
    streamsPerTarget: MAX_STREAMS,
    runners: [{ id: runner, targets: [context.targetOf(runner)] }],
  };
  const tunnel = new RevDialTunnel({
    ...client,
    credential: identity.id,
    keepalive: { ...context.keepalive, onRoundTrip: (ms) => roundTrips.observeMs(ms) },
    onDead: (death) => {
      const fields = { connection: id, silentMs: Math.round(death.silentMs), reason: describeDeath(death) };
      context.log.warn(fields, "RevDial client does not respond to PING; closing the connection");
      connection.destroy("the client stopped responding to PING");
    },
    onFault: (reason) => {
      const fields = { connection: id, peer: client.remoteAddress, reason };
      context.refusalLog.warn(
        fields,
        "RevDial client does not keep to the protocol; closing its data connection",
      );
    },
  });
  const connection = new AgentConnection({ id, tunnel, identity, hello });
  return connection;
}
