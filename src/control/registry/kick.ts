/** An operator, or a product, closes the connections of a runner: which ones. */
import type { AgentConnection } from "./agent-connection.ts";
import type { RunnerView } from "./runner-view.ts";

export interface KickOptions {
  /** Reason for the agent and its log. */
  message: string;
  /** How long open streams may take to finish. Default {@link DRAIN_DEADLINE_MS}. */
  deadlineMs?: number;
  /**
   * Stand-bys too, but only connections of the runner's own agent that serve no other runner: an agent that has discovered
   * it stays connected. Default: every connection in use.
   */
  ownAgentOnly?: boolean;
}

/** Drains connections of a runner that are open here; its agent may reconnect. Returns how many. */
export function kickRunner(
  { id, connections, fallbackConnections }: RunnerView,
  { message, deadlineMs, ownAgentOnly = false }: KickOptions,
): number {
  const kicked = ownAgentOnly
    ? [...connections, ...fallbackConnections].filter(
        ({ runners }) => runners.get(id)?.discovered !== true && runners.size === 1,
      )
    : [...connections, ...clientsBehind(connections, fallbackConnections)];
  const ofAgents = kicked.filter(({ isRemote }) => !isRemote);
  for (const connection of ofAgents) connection.drain("kicked", message, deadlineMs);
  return ofAgents.length;
}

/** A client does not choose to stand by: a kick of one is for all that have come before it. */
function clientsBehind(
  connections: readonly AgentConnection[],
  fallbacks: readonly AgentConnection[],
): AgentConnection[] {
  const isClient = ({ tunnel }: AgentConnection): boolean => tunnel.kind === "revdial";
  return connections.some(isClient) ? fallbacks.filter(isClient) : [];
}
