/**
 * How a control plane works with others as one: the interface between it and a cluster (`src/cluster/`), which knows where else
 * runners are and has connections to those nodes. Nothing here knows how the nodes find each other.
 *
 * A connection to another node is one more connection of each runner there, so what follows in the registry, the proxies and the
 * API is the same as for an agent's.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "../../wire/log.ts";
import type { RunnerInfo, TargetInfo } from "../../wire/messages/hello.ts";
import type { KeepaliveOptions } from "../../wire/session/keepalive.ts";
import type { RemoteAgent } from "../registry/upstream.ts";
import type { RelayedStream } from "../relayed/relayed-stream.ts";
import type { Tunnel } from "../tunnels/tunnel.ts";

export interface ControlPlaneCluster {
  /** Called once, before runners can connect and before the port is open. What it throws fails the start. */
  install(host: ClusterHost): ClusterParts;
}

/** An agent process that serves a runner at this node. */
export interface LocalRunner {
  runnerId: string;
  /** Of the agent; its connections at several nodes have the same one. */
  processId: string;
  /** When the process started, in Unix milliseconds; 0 if unknown. */
  bootEpochMs: number;
  credentialId: string;
  /** It has been replaced before, and serves the runner only where no other process does. */
  standby: boolean;
  /** It has discovered the runner, and does not hold it. */
  discovered: boolean;
  targets: readonly TargetInfo[];
  /** Streams that the agent takes to one target at once. */
  streamsPerTarget: number;
}

/** A runner that is served here, or that no longer is. */
export type LocalChange =
  | { type: "served"; runner: LocalRunner }
  /** `isWithdrawn`: its agent is not expected back. */
  | { type: "left"; runnerId: string; processId: string; discovered: boolean; isWithdrawn: boolean };

/** What the control plane offers to a cluster. */
export interface ClusterHost {
  readonly log: Logger;
  readonly keepalive: KeepaliveOptions;
  /** Path in front of all routes, usually empty. */
  readonly basePath: string;
  /** Called for each change, and by the listener's order of calls never for an older state. */
  onLocalRunner(listener: (change: LocalChange) => void): void;
  /** A connection to another node is open. */
  join(node: string, tunnel: Tunnel): JoinedNode;
  /** The agent here has lost the runner to a newer process at another node. */
  replaced(runnerId: string): void;
  /** The runner belongs to another credential: the connections of the agent here end. */
  refused(runnerId: string, reason: string): void;
  /** Takes over a stream of another node, which has authenticated and authorised its caller. */
  relay(stream: RelayedStream): void;
  /** Of a request with which another node connects. */
  readonly requests: PeerRequests;
}

export interface PeerRequests {
  /** No further connections are accepted: the control plane ends. */
  isClosing(): boolean;
  /** It has come by TLS, to this port or to a trusted proxy in front. */
  isEncrypted(request: IncomingMessage): boolean;
  /** Its address, for the log. */
  addressOf(request: IncomingMessage): string;
  /** It is none of the callers. */
  accepted(socket: Duplex): void;
  /** Responds with the refusal and closes. */
  refuse(request: IncomingMessage, socket: Duplex, error: unknown): void;
}

/** A connection to another node, until its tunnel closes. */
export interface JoinedNode {
  /** The node has this runner, or something of it has changed. */
  add(info: RunnerInfo, agent: RemoteAgent): void;
  /** It has it no longer. */
  remove(runnerId: string): void;
}

/** A node as operators see it. */
export interface ClusterNode {
  id: string;
  url: string;
  version: string;
  isSelf: boolean;
  /** This node reaches it now. */
  isConnected: boolean;
  /** Runners that are used through it. */
  runners: number;
  connections: number;
  streams: number;
  rttMs: number | undefined;
}

/** What a cluster adds. */
export interface ClusterParts {
  /** Another node connects: takes over the socket. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  nodes(): ClusterNode[];
  /** Why this node is not to be chosen; undefined if it is ready. */
  missing(): string | undefined;
  /** The port is open. */
  start(): Promise<void>;
  /** No further streams: other nodes dial elsewhere, and what is open finishes. */
  drain(): void;
  close(): Promise<void>;
}

export { Http2Tunnel } from "../tunnels/http2-tunnel.ts";
export type { RemoteAgent } from "../registry/upstream.ts";
export type { RelayedRequester, RelayedStream } from "../relayed/relayed-stream.ts";
export type { StreamCause } from "../records/request-record.ts";
export type {
  Opening,
  OpenOptions,
  TargetSocket,
  TargetStream,
  Tunnel,
  WebSocketRequest,
  WebSocketResponse,
} from "../tunnels/tunnel.ts";
