/** `CONNECT <target>.<runner>` at the control plane, HTTP/1.1 and HTTP/2: the dial API of every language. */
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Duplex } from "node:stream";
import { CodedError, TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { parseAuthority } from "../../wire/messages/names.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { HEADER } from "../../wire/protocol.ts";
import { watchRemoteEnd } from "../../wire/streams/remote-end.ts";
import { abort, splice } from "../../wire/streams/splice.ts";
import { VERSION } from "../../wire/version.ts";
import { authenticateProxy } from "../auth/authenticate.ts";
import type { Identity } from "../auth/identity.ts";
import type { Access } from "../auth/access.ts";
import type { TokenStore } from "../auth/tokens.ts";
import { watchCaller } from "../listener/client-disconnect.ts";
import type { Dialer } from "../registry/dialer.ts";
import { refuseAmbiguous } from "../listener/refused-requests.ts";
import type { TrustedProxies } from "../trusted-proxies/trusted-proxies.ts";
import { errorAnswer, refuseRaw } from "../listener/error-response.ts";
import type { AnyRequest } from "../listener/messages.ts";
import type { ActiveStreams, CloseReason } from "../auth/active-streams.ts";
import { preferredWaitMs } from "./prefer.ts";

export interface ConnectProxyContext {
  dialer: Dialer;
  tokens: TokenStore;
  access: Access;
  activeStreams: ActiveStreams;
  trustedProxies: TrustedProxies;
  log: Logger;
}

export interface AuthorizedDestination extends Destination {
  identity: Identity;
}

/** @throws TurnaboutError `unauthenticated`, `bad_request`, `not_allowed` */
export function authorizeProxy(
  request: AnyRequest,
  authority: string,
  { tokens, access }: Pick<ConnectProxyContext, "tokens" | "access">,
): AuthorizedDestination {
  const identity = authenticateProxy(request.headers, tokens);
  const destination = parseAuthority(authority);
  if (destination === undefined) {
    throw new TurnaboutError("bad_request", "forward proxy: the authority is not <target>.<runner>");
  }
  if (!access.mayDial(identity, destination.runner, destination.target)) {
    throw new TurnaboutError(
      "not_allowed",
      `${identity.id} may not dial ${destination.runner} ${destination.target}`,
    );
  }
  return { ...destination, identity };
}

/** From the caller's request until both ends are closed; ended when its credential is revoked or its group closed. */
class Tunnel {
  readonly #caller: Duplex;
  readonly #gone = new AbortController();
  #done = (): void => {};
  #stream: Duplex | undefined;
  #closed: CloseReason | undefined;

  /** @param left given when the caller has left, where 'close' would not tell */
  constructor(caller: Duplex, left?: AbortSignal) {
    this.#caller = caller;
    left?.addEventListener("abort", () => this.#gone.abort(), { once: true });
    caller.on("error", () => this.#gone.abort()); // for ever
    caller.once("close", () => {
      this.#gone.abort();
      this.#done();
    });
  }

  /** @throws TurnaboutError the reason of the refusal */
  async open(
    destination: AuthorizedDestination,
    waitMs: number,
    context: ConnectProxyContext,
  ): Promise<Duplex> {
    const { identity, runner } = destination;
    const close = (reason: CloseReason): void => this.#close(reason);
    this.#done = context.activeStreams.add({ identity, group: context.access.groupOf(runner), close });
    try {
      const stream = await context.dialer.openStream(destination, {
        signal: this.#gone.signal,
        waitMs,
        caller: identity.id,
      });
      if (this.#closed !== undefined) {
        abort(stream);
        throw new TurnaboutError("aborted", "closed while it was opened");
      }
      this.#stream = stream;
      return stream;
    } catch (error) {
      this.#done();
      if (this.#closed === undefined) throw error;
      throw new TurnaboutError("not_allowed", this.#closed.text, { cause: error });
    }
  }

  readonly closed = (): void => this.#done();

  #close(reason: CloseReason): void {
    this.#closed = reason;
    this.#gone.abort();
    if (this.#stream === undefined) return;
    abort(this.#caller);
    abort(this.#stream);
  }
}

export async function connectFromSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  context: ConnectProxyContext,
): Promise<void> {
  const { address } = context.trustedProxies.client(request);
  const watch = watchCaller(socket, head);
  const tunnel = new Tunnel(socket, watch.signal);
  try {
    refuseAmbiguous(request);
    const destination = authorizeProxy(request, request.url ?? "", context);
    const stream = await tunnel.open(destination, preferredWaitMs(request.headers), context);
    watch.stop();
    if (socket.destroyed) return abort(stream);
    socket.write(`HTTP/1.1 200 Connection Established\r\n${HEADER.version}: ${VERSION}\r\n\r\n`);
    splice(socket, stream, tunnel.closed);
  } catch (error) {
    watch.stop();
    logRefusal(error, address, context.log);
    refuseRaw(socket, error, "proxy");
  }
}

export async function connectFromStream(
  request: Http2ServerRequest,
  context: ConnectProxyContext,
): Promise<void> {
  const { address } = context.trustedProxies.client(request);
  const caller = request.stream;
  watchRemoteEnd(caller);
  const tunnel = new Tunnel(caller);
  try {
    refuseAmbiguous(request);
    const destination = authorizeProxy(request, request.authority, context);
    const stream = await tunnel.open(destination, preferredWaitMs(request.headers), context);
    if (caller.destroyed) return abort(stream);
    caller.respond({ ":status": 200, [HEADER.version]: VERSION });
    splice(caller, stream, tunnel.closed);
  } catch (error) {
    logRefusal(error, address, context.log);
    if (caller.destroyed || caller.headersSent) return;
    const answer = errorAnswer(error, "proxy");
    caller.respond({ ...answer.headers, ":status": answer.status });
    caller.end(answer.body);
  }
}

function logRefusal(error: unknown, client: string, log: Logger): void {
  const reason = error instanceof Error ? error.message : String(error);
  log.info({ client, code: error instanceof CodedError ? error.code : undefined, reason }, "CONNECT refused");
}
