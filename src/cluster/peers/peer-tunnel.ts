/** All connections to another node as one tunnel: a stream takes the least loaded, and another is opened where all are busy. */
import { TurnaboutError } from "../../wire/errors.ts";
import { OPEN_STREAMS_PER_CONNECTION } from "../../wire/limits.ts";
import type { Destination } from "../../wire/messages/names.ts";
import type { Goaway } from "../../wire/session/goaway.ts";
import type {
  Http2Tunnel,
  Opening,
  OpenOptions,
  StreamCause,
  TargetSocket,
  TargetStream,
  Tunnel,
  WebSocketRequest,
  WebSocketResponse,
} from "../../control/cluster/cluster.ts";
import { CONNECTIONS_PER_PEER, GROW_AT_STREAMS } from "./limits.ts";

export class PeerTunnel implements Tunnel {
  readonly kind = "node";
  readonly isAgentsOnly = false;
  readonly hasLeftUnannounced = false;
  readonly maxStreams: number = CONNECTIONS_PER_PEER * OPEN_STREAMS_PER_CONNECTION;
  readonly remoteAddress: string | undefined;
  /** Open ones, and those whose streams finish. */
  readonly #connections = new Set<Http2Tunnel>();
  readonly #grow: () => void;
  #onClose: (() => void)[] = [];
  #onDrain: ((isShutdown: boolean) => void)[] = [];
  #closedBytes = 0;

  /** @param grow called where all connections are busy: opens another one, or does nothing */
  constructor(first: Http2Tunnel, grow: () => void) {
    this.remoteAddress = first.remoteAddress;
    this.#grow = grow;
    this.add(first);
  }

  add(connection: Http2Tunnel): void {
    this.#connections.add(connection);
    connection.onDrain(() => this.#checkDrained());
    connection.onClose(() => {
      this.#closedBytes += connection.transferredBytes;
      this.#connections.delete(connection);
      this.#checkDrained();
      if (this.#connections.size === 0) for (const listener of this.#onClose.splice(0)) listener();
    });
  }

  /** Connections that take streams. */
  get open(): Http2Tunnel[] {
    return [...this.#connections].filter(({ isOpen }) => isOpen);
  }

  get streams(): number {
    let streams = 0;
    for (const connection of this.#connections) streams += connection.streams.size;
    return streams;
  }

  get rttMs(): number | undefined {
    return this.open[0]?.rttMs;
  }

  get transferredBytes(): number {
    let bytes = this.#closedBytes;
    for (const connection of this.#connections) bytes += connection.transferredBytes;
    return bytes;
  }

  get isOpen(): boolean {
    for (const { isOpen } of this.#connections) if (isOpen) return true;
    return false;
  }

  get hasEnded(): boolean {
    for (const { hasEnded } of this.#connections) if (!hasEnded) return false;
    return true;
  }

  onClose(listener: () => void): void {
    if (this.#connections.size === 0) listener();
    else this.#onClose.push(listener);
  }

  onDrain(listener: (isShutdown: boolean) => void): void {
    this.#onDrain.push(listener);
  }

  openSocket(destination: Destination, onClose: () => void, cause?: StreamCause): TargetSocket {
    return this.#pick().openSocket(destination, onClose, cause);
  }

  openStream(destination: Destination, options: OpenOptions): Opening<TargetStream> {
    return this.#pick().openStream(destination, options);
  }

  openWebSocket(
    destination: Destination,
    request: WebSocketRequest,
    options: OpenOptions,
  ): Opening<WebSocketResponse> {
    return this.#pick().openWebSocket(destination, request, options);
  }

  ping(onAcknowledged: (error: Error | null, durationMs: number) => void): void {
    this.#pick().ping(onAcknowledged);
  }

  announceEnd(goaway: Goaway): void {
    for (const connection of this.#connections) connection.announceEnd(goaway);
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  destroy(reason: TurnaboutError): void {
    for (const connection of this.#connections) connection.destroy(reason);
  }

  /** @throws TurnaboutError `agent_draining`, `overloaded`: nothing was opened */
  #pick(): Http2Tunnel {
    let best: Http2Tunnel | undefined;
    for (const connection of this.#connections) {
      if (connection.isOpen && (best === undefined || connection.streams.size < best.streams.size))
        best = connection;
    }
    if (best === undefined) throw new TurnaboutError("agent_draining", "node: its connections are closing");
    if (best.streams.size >= GROW_AT_STREAMS) this.#grow();
    if (best.streams.size >= best.maxStreams)
      throw new TurnaboutError("overloaded", "node: all streams are in use");
    return best;
  }

  #checkDrained(): void {
    if (this.isOpen) return;
    for (const listener of this.#onDrain.splice(0)) listener(false);
  }
}
