/** Puts a cluster into a control plane: what each gets of the other. */
import { randomBytes } from "node:crypto";
import { PROTOCOL_VERSION, CAPABILITY } from "../wire/protocol.ts";
import { UNANNOUNCED_STREAMS_PER_TARGET } from "../wire/limits.ts";
import { VERSION } from "../wire/version.ts";
import { createIdentity } from "./auth/identity.ts";
import type { ClusterHost, ClusterParts, JoinedNode, PeerRequests } from "./cluster/cluster.ts";
import { refuseRaw } from "./listener/error-response.ts";
import { LocalRunners } from "./cluster/local-runners.ts";
import type { Settings } from "./options.ts";
import type { Parts } from "./parts.ts";
import { AgentConnection } from "./registry/agent-connection.ts";
import type { Registry } from "./registry/registry.ts";
import { relay } from "./relayed/relay.ts";
import type { Tunnel } from "./tunnels/tunnel.ts";

/** What other nodes of this version do for the streams that we open there. */
const NODE_CAPABILITIES = [
  CAPABILITY.websocket,
  CAPABILITY.targetHost,
  CAPABILITY.proxyStatus,
  CAPABILITY.requestId,
];

interface Closing {
  /** Agents, and so other nodes, are sent to another process. */
  refusesAgents: () => boolean;
  /** New requests are refused. */
  isEnding: () => boolean;
}

/** Undefined where the options have no cluster: then nothing of it exists. */
export function installCluster(settings: Settings, parts: Parts, closing: Closing): ClusterParts | undefined {
  const { cluster, log, basePath } = settings;
  if (cluster === undefined) return undefined;
  const { registry, bus } = parts;
  const localRunners = new LocalRunners(registry, bus);
  const context = { ...parts, draining: closing.isEnding };
  const host: ClusterHost = {
    log,
    keepalive: settings,
    basePath,
    onLocalRunner: (listener) => localRunners.onChange(listener),
    join: (node, tunnel) => joinNode(registry, node, tunnel),
    replaced: (runnerId) => registry.remote.replaced(runnerId),
    refused: (runnerId, reason) => refuseRunner(registry, runnerId, reason),
    relay: (stream) => relay(stream, context),
    requests: peerRequests(settings, parts, closing),
  };
  return cluster.install(host);
}

function joinNode(registry: Registry, node: string, tunnel: Tunnel): JoinedNode {
  const connection = new AgentConnection({
    id: randomBytes(6).toString("hex"),
    tunnel,
    identity: createIdentity(`node ${node}`, "", { kind: "runner", runners: [] }),
    hello: {
      protocol: PROTOCOL_VERSION,
      version: VERSION,
      instance: `node ${node}`,
      bootEpochMs: 0,
      standby: false,
      capabilities: NODE_CAPABILITIES,
      streamsPerTarget: UNANNOUNCED_STREAMS_PER_TARGET,
      runners: [],
    },
  });
  registry.remote.join(connection);
  return {
    add: (info, agent) => registry.remote.add(connection, info, agent),
    remove: (runnerId) => registry.remote.remove(connection, runnerId),
  };
}

/** As where another credential has registered it here. */
function refuseRunner(registry: Registry, runnerId: string, reason: string): void {
  for (const connection of registry.remote.localUpstream(runnerId)?.connections ?? []) {
    connection.drain("refused", `runner_taken: ${reason}`);
  }
}

function peerRequests({ proxies, log }: Settings, parts: Parts, closing: Closing): PeerRequests {
  const { inFlight, shares, refusalLog } = parts;
  return {
    isClosing: closing.refusesAgents,
    isEncrypted: (request) => proxies.client(request).scheme === "https",
    addressOf: (request) => proxies.client(request).address,
    accepted: (socket) => inFlight.release(socket),
    refuse: (request, socket, error) => {
      const { address } = proxies.client(request);
      const reason = error instanceof Error ? error.message : String(error);
      refusalLog.info({ client: address, reason }, "connection of another node refused");
      log.debug({ client: address, err: error }, "connection of another node refused");
      refuseRaw(socket, shares.anonymous.refusal(error, address, true));
    },
  };
}
