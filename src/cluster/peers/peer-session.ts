/** One connection that another node has opened here: each request on it is verified before anything else is done with it. */
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import type { ClusterHost } from "../../control/cluster/cluster.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { parseAuthority } from "../../wire/messages/names.ts";
import { receivedBytes } from "../../wire/session/carrier.ts";
import { describeDeath, keepAlive } from "../../wire/session/keepalive.ts";
import type { KeepaliveOptions } from "../../wire/session/keepalive.ts";
import { destroyHttp2Session, serveReversed } from "../../wire/session/reversed-session.ts";
import { closeAfterResponse, discardStream, hasEnded, resetStream } from "../../wire/streams/end-stream.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { watchRemoteEnd } from "../../wire/streams/remote-end.ts";
import type { MacKey } from "./keys.ts";
import { PEER_HANDSHAKE_TIMEOUT_MS } from "./limits.ts";
import { NotSigned, RequestVerifier } from "./signed-requests.ts";

export interface PeerSessionParts {
  /** Id of the node that has connected. */
  node: string;
  key: MacKey;
  socket: Duplex;
  keepalive: KeepaliveOptions;
  log: Logger;
  relay: ClusterHost["relay"];
}

export class PeerSession {
  readonly #parts: PeerSessionParts;
  readonly #verifier: RequestVerifier;
  readonly #proof = Promise.withResolvers<void>();
  #http2Session: ServerHttp2Session | undefined;

  constructor(parts: PeerSessionParts) {
    this.#parts = parts;
    this.#verifier = new RequestVerifier(parts.key);
  }

  get node(): string {
    return this.#parts.node;
  }

  /** Resolves when the connection has closed. @throws TurnaboutError if it does not get as far as a signed request */
  async serve(): Promise<void> {
    const { node, socket, keepalive } = this.#parts;
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once("close", () => resolve());
    const http2Session = await serveReversed(socket, (session) => {
      this.#http2Session = session;
      session.on("stream", (stream, headers) => this.#serveStream(stream, headers));
    });
    const timer = setTimeout(() => {
      this.destroy(new TurnaboutError("carrier_failed", `node ${node} has sent no signed request in time`));
    }, PEER_HANDSHAKE_TIMEOUT_MS);
    void this.#proof.promise.then(() => clearTimeout(timer));
    const onDead = (death: Parameters<typeof describeDeath>[0]): void =>
      this.destroy(new TurnaboutError("tunnel_lost", `node ${node} was lost: ${describeDeath(death)}`));
    keepAlive(http2Session, receivedBytes(socket), onDead, keepalive);
    http2Session.once("close", () => socket.destroy());
    await promise;
    clearTimeout(timer);
  }

  /** No further streams; those that are open finish. */
  drain(): void {
    const session = this.#http2Session;
    if (session !== undefined && !session.closed && !hasEnded(session)) session.close();
  }

  destroy(reason: Error): void {
    const { socket } = this.#parts;
    if (this.#http2Session === undefined) socket.destroy();
    else destroyHttp2Session(this.#http2Session, socket, reason);
  }

  #serveStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    watchRemoteEnd(stream);
    stream.on("error", () => {}); // permanently: 'error' can come after 'end'
    const guard = new Guard(
      (error) => this.#refuse(stream, error),
      (error) => resetStream(stream, error),
    );
    guard.run(() => {
      // Before anything else: the number of a stream that was reset at once counts as well.
      const signed = this.#verifier.verify(headers);
      this.#proof.resolve();
      if (stream.destroyed || stream.closed) return discardStream(stream);
      if (headers[":method"] !== "CONNECT") return respond(stream, headers[":method"] === "GET" ? 204 : 405);
      const destination = parseAuthority(headers[":authority"] ?? "");
      if (destination === undefined) return respond(stream, 400);
      const { node, relay } = this.#parts;
      const { requestId = "", client, requester } = signed;
      relay({ stream, headers, destination, node, requestId, client, requester });
    });
  }

  /** Whoever sends one has no key, or sends it again: the connection ends. One that has come late is dialled again elsewhere. */
  #refuse(stream: ServerHttp2Stream, cause: unknown): void {
    const { node, log } = this.#parts;
    const error = toError(cause);
    if (!(error instanceof NotSigned)) throw error;
    log.warn({ node, reason: error.message }, "request of another node refused");
    if (!error.isStale) return this.destroy(error);
    respond(stream, 503);
    this.drain();
  }
}

function respond(stream: ServerHttp2Stream, status: number): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  stream.respond({ ":status": status }, { endStream: true });
  stream.resume();
  closeAfterResponse(stream);
}
