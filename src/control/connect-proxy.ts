/** `CONNECT <target>.<runner>` at the control plane, HTTP/1.1 and HTTP/2: the dial API of every language. */
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Duplex } from "node:stream";
import { TurnaboutError } from "../wire/errors.ts";
import type { Logger } from "../wire/log.ts";
import { parseAuthority } from "../wire/names.ts";
import type { Destination } from "../wire/names.ts";
import { HEADER } from "../wire/protocol.ts";
import { abort, relay } from "../wire/relay.ts";
import { VERSION } from "../wire/version.ts";
import { authenticate } from "./auth/authenticate.ts";
import type { TokenStore } from "./auth/tokens.ts";
import { watchCaller } from "./caller-watch.ts";
import type { Dialer } from "./dialer.ts";
import { refuseRaw } from "./doors/upgrade.ts";
import { preferredWaitMs } from "./forwarding.ts";
import { errorAnswer } from "./http-errors.ts";
import type { AnyRequest } from "./listener/port.ts";

export interface ConnectProxyContext {
  dialer: Dialer;
  tokens: TokenStore;
  log: Logger;
}

/** @throws TurnaboutError `unauthenticated`, `bad_request`, `not_allowed` */
export function authorizeProxy(request: AnyRequest, authority: string, tokens: TokenStore): Destination {
  const identity = authenticate(request.headers, "proxy-authorization", tokens);
  const destination = parseAuthority(authority);
  if (destination === undefined) {
    throw new TurnaboutError("bad_request", "forward proxy: the authority is not <target>.<runner>");
  }
  if (!identity.mayDial(destination.runner, destination.target)) {
    throw new TurnaboutError(
      "not_allowed",
      `${identity.id} may not dial ${destination.runner} ${destination.target}`,
    );
  }
  return destination;
}

export async function connectFromSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  context: ConnectProxyContext,
): Promise<void> {
  const caller = watchCaller(socket, head);
  try {
    const destination = authorizeProxy(request, request.url ?? "", context.tokens);
    const stream = await context.dialer.openStream(destination, {
      signal: caller.signal,
      waitMs: preferredWaitMs(request.headers),
    });
    caller.stop();
    if (socket.destroyed) return abort(stream);
    socket.write(`HTTP/1.1 200 Connection Established\r\n${HEADER.version}: ${VERSION}\r\n\r\n`);
    relay(socket, stream);
  } catch (error) {
    caller.stop();
    logRefusal(error, context.log);
    refuseRaw(socket, error, "proxy");
  }
}

export async function connectFromStream(
  request: Http2ServerRequest,
  context: ConnectProxyContext,
): Promise<void> {
  const caller = request.stream;
  const gone = new AbortController();
  caller.on("error", () => gone.abort()); // for ever
  caller.once("close", () => gone.abort());
  try {
    const destination = authorizeProxy(request, request.authority, context.tokens);
    const stream = await context.dialer.openStream(destination, {
      signal: gone.signal,
      waitMs: preferredWaitMs(request.headers),
    });
    if (caller.destroyed) return abort(stream);
    caller.respond({ ":status": 200, [HEADER.version]: VERSION });
    relay(caller, stream);
  } catch (error) {
    logRefusal(error, context.log);
    if (caller.destroyed || caller.headersSent) return;
    const answer = errorAnswer(error, "proxy");
    caller.respond({ ...answer.headers, ":status": answer.status });
    caller.end(answer.body);
  }
}

function logRefusal(error: unknown, log: Logger): void {
  const reason = error instanceof Error ? error.message : String(error);
  log.info({ code: error instanceof TurnaboutError ? error.code : undefined, reason }, "CONNECT refused");
}
