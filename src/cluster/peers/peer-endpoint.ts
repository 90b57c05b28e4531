/**
 * Where other nodes connect: an upgrade at a path of the control plane's port. After it the connection is HTTP/2 with the other node in
 * the client role, and is not the callers': nothing of theirs gets here, and nothing here reads a credential.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ClusterHost } from "../../control/cluster/cluster.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { HEADER, PEER_UPGRADE_TOKEN } from "../../wire/protocol.ts";
import { acceptHandshake } from "./handshake.ts";
import type { Handshake } from "./handshake.ts";
import type { ClusterKeys } from "./keys.ts";
import { CONNECTIONS_FROM_PEER, MAX_PEER_CONNECTIONS } from "./limits.ts";
import { PeerSession } from "./peer-session.ts";

export interface PeerEndpointOptions {
  /** Id of this node. */
  self: string;
  keys: ClusterKeys;
  /** Other nodes may connect without TLS. */
  allowsPlaintext: boolean;
  host: Pick<ClusterHost, "keepalive" | "log" | "relay" | "requests">;
}

export class PeerEndpoint {
  readonly #options: PeerEndpointOptions;
  readonly #sessions = new Set<PeerSession>();
  readonly #log: Logger;

  constructor(options: PeerEndpointOptions) {
    this.#options = options;
    this.#log = options.host.log;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Takes over the socket. A refusal is an HTTP response other than 101. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { requests } = this.#options.host;
    try {
      const { value, ...handshake } = this.#check(request);
      requests.accepted(socket);
      (socket as Socket).setTimeout?.(0);
      if (head.length > 0) socket.unshift(head);
      const lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Connection: Upgrade",
        `Upgrade: ${PEER_UPGRADE_TOKEN}`,
        `${HEADER.peer}: ${value}`,
      ];
      // The session begins when the last write before it has left.
      socket.write(`${lines.join("\r\n")}\r\n\r\n`, (error) => {
        if (error === null || error === undefined) this.#serve(handshake, socket);
        else socket.destroy();
      });
    } catch (error) {
      requests.refuse(request, socket, error);
    }
  }

  /** No further streams, on any connection; those that are open finish. */
  drain(): void {
    for (const session of this.#sessions) session.drain();
  }

  close(): void {
    const reason = new TurnaboutError("tunnel_lost", "this node has left the cluster");
    for (const session of this.#sessions) session.destroy(reason);
  }

  /** @throws TurnaboutError the reason of the refusal */
  #check(request: IncomingMessage): Handshake & { value: string } {
    const { self, keys, allowsPlaintext, host } = this.#options;
    const { requests } = host;
    if (requests.isClosing()) {
      throw new TurnaboutError("control_plane_draining", "peer: this node is shutting down");
    }
    if (!allowsPlaintext && !requests.isEncrypted(request)) {
      throw new TurnaboutError("tls_required", `peer: ${requests.addressOf(request)} connects without TLS`);
    }
    const handshake = acceptHandshake(keys, self, request.headers[HEADER.peer]);
    const ofNode = [...this.#sessions].filter(({ node }) => node === handshake.from).length;
    if (ofNode >= CONNECTIONS_FROM_PEER || this.#sessions.size >= MAX_PEER_CONNECTIONS) {
      throw new TurnaboutError(
        "overloaded",
        `peer: node ${handshake.from} has ${ofNode} connections already`,
      );
    }
    return handshake;
  }

  #serve({ from, key }: Handshake, socket: Duplex): void {
    const { keepalive, relay } = this.#options.host;
    const session = new PeerSession({ node: from, key, socket, keepalive, log: this.#log, relay });
    this.#sessions.add(session);
    session.serve().then(
      () => this.#sessions.delete(session),
      (error: unknown) => {
        this.#sessions.delete(session);
        this.#log.warn({ node: from, reason: toError(error).message }, "connection of another node failed");
      },
    );
  }
}
