/**
 * What the registry needs of an agent's connection, whatever protocol runs on it: opening streams to targets, its life, and
 * its end. `http2-tunnel.ts` is the tunnel connection of an agent of ours; `control/revdial/` is RevDial's.
 */
import type { ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import type { Duplex } from "node:stream";
import type { TurnaboutError } from "../../wire/errors.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { CARRIER_KINDS } from "../../wire/session/carrier.ts";
import type { CarrierKind } from "../../wire/session/carrier.ts";
import type { Goaway } from "../../wire/session/goaway.ts";
import type { StreamCause } from "../records/request-record.ts";
import type { EarlyData } from "./early-data.ts";

/** As lists name them: the carriers of agents' tunnel connections, and the protocols that have none. */
export type AgentTunnelKind = CarrierKind | "revdial";
/** And connections to another node of a cluster, which has the agent. */
export type TunnelKind = AgentTunnelKind | "node";
export const TUNNEL_KINDS: readonly TunnelKind[] = [...CARRIER_KINDS, "revdial", "node"];

/**
 * A stream to a target as a socket, open at once: a refusal is its 'error'. It may emit 'closing' some time before its end, when the
 * target takes no more bytes.
 */
export interface TargetSocket extends Duplex {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Bytes in memory, in both directions. */
  readonly heldBytes: number;
  /** Called when the target has accepted. */
  onAccepted: (() => void) | undefined;
  /** When the agent had reached the target, by `performance.now()`; undefined before. */
  readonly acceptedAt: number | undefined;
  /** Called with the first bytes that the target sends. */
  onFirstBytes: ((bytes: Buffer) => void) | undefined;
  /** Transforms the bytes that the target sends. Must not throw. */
  inbound: ((bytes: Buffer) => Buffer) | undefined;
}

/** A stream that its target has accepted. */
export type TargetStream = ClientHttp2Stream | TargetSocket;

/** A stream that is being opened. */
export interface Opening<T> {
  /** Rejects with the reason of a refusal or a loss; nothing of the stream is open then. */
  readonly accepted: Promise<T>;
  /** Whether the target has provably seen nothing of it, after it was rejected with this error. */
  isUnprocessed(error: unknown): boolean;
}

export interface OpenOptions {
  /** Called once, when the stream no longer counts. Never in the turn of the event loop in which it was opened. */
  onClose: () => void;
  /** Aborts the opening. */
  signal?: AbortSignal | undefined;
  /** What the caller sends meanwhile. */
  early?: EarlyData | undefined;
  /** For the agent's log. */
  cause?: StreamCause | undefined;
}

/** A WebSocket's handshake with a target. */
export interface WebSocketRequest {
  readonly path: string;
  /** Names and values in turn, `host` among them, without the fields of this hop. */
  readonly fields: readonly string[];
  /** Until the target's response. */
  readonly timeoutMs: number;
}

/** The target's response to it. */
export interface WebSocketResponse {
  readonly stream: Duplex;
  /** The WebSocket is open; otherwise the target has refused it, or has ignored the upgrade. */
  readonly isOpen: boolean;
  /** The target's own, or 200 for an open WebSocket. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

export interface Tunnel {
  readonly kind: TunnelKind;
  /** Address of the other end, for lists and logs. */
  readonly remoteAddress: string | undefined;
  /** Of the last acknowledged PING. */
  readonly rttMs: number | undefined;
  /** Streams that the other end takes at once. */
  readonly maxStreams: number;
  /** Its agent dials again only when this connection has closed. */
  readonly isAgentsOnly: boolean;
  /** Its agent has closed it, and can announce nothing: a restart looks like a death. */
  readonly hasLeftUnannounced: boolean;
  /** In both directions, so far. */
  readonly transferredBytes: number;
  /** New streams may be opened. */
  readonly isOpen: boolean;
  /** Nothing of it is open, or will be for long. */
  readonly hasEnded: boolean;
  /** Called once, when all of it has closed. */
  onClose(listener: () => void): void;
  /** Called once, when the other end takes no further streams: because it shuts down, or after a failure. */
  onDrain(listener: (isShutdown: boolean) => void): void;
  openSocket(destination: Destination, onClose: () => void, cause?: StreamCause): TargetSocket;
  openStream(destination: Destination, options: OpenOptions): Opening<TargetStream>;
  openWebSocket(
    destination: Destination,
    request: WebSocketRequest,
    options: OpenOptions,
  ): Opening<WebSocketResponse>;
  /** May throw. */
  ping(onAcknowledged: (error: Error | null, durationMs: number) => void): void;
  /** Reports to the agent that no further streams will be opened, and why. */
  announceEnd(goaway: Goaway): void;
  /** Closes after the last open stream. */
  close(): void;
  /** Ends everything at once. */
  destroy(reason: TurnaboutError): void;
}
