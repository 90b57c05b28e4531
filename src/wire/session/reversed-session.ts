/**
 * The reversed session, both ends. The agent dialled; now the roles turn about:
 *
 *     agent                                   control plane
 *       │ ── dials a carrier (TLS, 101) ──────────▶ │
 *       │ ◀───────────── PRI * HTTP/2.0, SETTINGS ── │   HTTP client role
 *       │ ── SETTINGS ────────────────────────────▶ │
 *       │ ◀───────────────────────── GET /hello ──── │
 *       │ ◀────────────── CONNECT wolf.wolf-local ── │
 *       │ ── 200, then the target's bytes ────────▶ │   HTTP server role
 *
 * Both ends raise the windows (a default connection moves 64 KiB per round trip), the session memory and the reset
 * budget, and wait for the peer's SETTINGS: requests made before them ignore the peer's limits.
 */
import http2 from "node:http2";
import type { ClientHttp2Session, Http2Session, ServerHttp2Session } from "node:http2";
import type { Duplex } from "node:stream";
import { endSession, guardSession, hasEnded, widenConnection } from "../streams/end-stream.ts";
import { TurnaboutError } from "../errors.ts";
import {
  AGENT_MAX_STREAMS,
  CARRIER_DESTROY_DELAY_MS,
  CONNECTION_WINDOW_BYTES,
  MAX_FRAME_BYTES,
  MAX_HEADER_BLOCK_BYTES,
  MAX_HEADER_PAIRS,
  MAX_OUTSTANDING_PINGS,
  SESSION_HANDSHAKE_TIMEOUT_MS,
  SESSION_MEMORY_MB,
  STREAM_RESET_BURST,
  STREAM_RESET_RATE,
  STREAM_WINDOW_BYTES,
} from "../limits.ts";
import { AGENT_AUTHORITY } from "../protocol.ts";

const SETTINGS = {
  initialWindowSize: STREAM_WINDOW_BYTES,
  maxFrameSize: MAX_FRAME_BYTES,
  maxHeaderListSize: MAX_HEADER_BLOCK_BYTES,
};

export interface HandshakeOptions {
  signal?: AbortSignal | undefined;
  /** Default {@link SESSION_HANDSHAKE_TIMEOUT_MS}. */
  timeoutMs?: number | undefined;
}

/**
 * Control plane: the HTTP client role on a carrier that an agent dialled. Call it in the callback of the last write
 * to the carrier and never earlier: on TLS a pending write aborts the process, on TCP it is overtaken.
 *
 * @throws TurnaboutError `carrier_failed` if the agent's SETTINGS do not come in time
 */
export async function openReversed(
  carrier: Duplex,
  options: HandshakeOptions = {},
): Promise<ClientHttp2Session> {
  prepare(carrier);
  const session = http2.connect(`http://${AGENT_AUTHORITY}`, {
    createConnection: () => carrier,
    maxSessionMemory: SESSION_MEMORY_MB,
    maxHeaderListPairs: MAX_HEADER_PAIRS,
    maxOutstandingPings: MAX_OUTSTANDING_PINGS,
    maxSendHeaderBlockLength: MAX_HEADER_BLOCK_BYTES,
    settings: { ...SETTINGS, enablePush: false },
  });
  guardSession(session);
  await established(session, carrier, options);
  return session;
}

/**
 * Agent: the HTTP server role on a carrier that it dialled itself. `accept` gets every stream, from the first on.
 *
 * @throws TurnaboutError `carrier_failed` if the control plane's preface does not come in time
 */
export async function serveReversed(
  carrier: Duplex,
  accept: (session: ServerHttp2Session) => void,
  options: HandshakeOptions = {},
): Promise<ServerHttp2Session> {
  prepare(carrier);
  const session = http2.performServerHandshake(carrier, {
    maxSessionMemory: SESSION_MEMORY_MB,
    maxHeaderListPairs: MAX_HEADER_PAIRS,
    strictSingleValueFields: false, // a field that came twice is no reason for an exception
    maxOutstandingPings: MAX_OUTSTANDING_PINGS,
    streamResetBurst: STREAM_RESET_BURST,
    streamResetRate: STREAM_RESET_RATE,
    settings: { ...SETTINGS, enableConnectProtocol: true, maxConcurrentStreams: AGENT_MAX_STREAMS },
  });
  guardSession(session);
  accept(session);
  await established(session, carrier, options);
  return session;
}

/** Ends a session at once, with a reason, on every carrier: streams fail as errors, never as clean ends. */
export function destroySession(session: Http2Session, carrier: Duplex, reason: Error): void {
  endSession(session, reason);
  if (carrier.destroyed) return;
  const timer = setTimeout(() => carrier.destroy(), CARRIER_DESTROY_DELAY_MS);
  carrier.once("close", () => clearTimeout(timer));
}

function prepare(carrier: Duplex): void {
  // For ever: without a listener a reset by the peer would end the process.
  carrier.on("error", ignore);
  // A session on a dead socket would say nothing until the deadline.
  if (carrier.destroyed)
    throw new TurnaboutError("carrier_failed", "session handshake: the carrier has closed");
  // An upgraded socket is half-open by default: a dead agent's FIN would leave the session open without any event.
  carrier.allowHalfOpen = false;
}

function ignore(): void {}

async function established(session: Http2Session, carrier: Duplex, options: HandshakeOptions): Promise<void> {
  session.on("error", ignore); // for ever; owners learn of the end by 'close'
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timeoutMs = options.timeoutMs ?? SESSION_HANDSHAKE_TIMEOUT_MS;
  const fail = (what: string, cause?: unknown) => {
    reject(new TurnaboutError("carrier_failed", `session handshake: ${what}`, { cause }));
  };
  const timer = setTimeout(() => fail(`no HTTP/2 SETTINGS within ${timeoutMs} ms`), timeoutMs);
  const onError = (error: Error) => fail(error.message, error);
  const onClose = () => fail("the carrier closed before HTTP/2 SETTINGS");
  const onAbort = () => fail("aborted", options.signal?.reason);
  session.once("remoteSettings", () => resolve());
  session.once("error", onError);
  session.once("close", onClose);
  // A TLS alert may come before the session is attached to its reads: the socket says it then, and the session nothing.
  carrier.once("error", onError);
  carrier.once("close", onClose);
  options.signal?.addEventListener("abort", onAbort, { once: true });
  if (options.signal?.aborted === true) onAbort();
  try {
    await promise;
    if (hasEnded(session)) {
      throw new TurnaboutError("carrier_failed", "session handshake: the session ended behind its SETTINGS");
    }
    widenConnection(session, CONNECTION_WINDOW_BYTES);
  } catch (error) {
    destroySession(session, carrier, error as Error);
    throw error;
  } finally {
    clearTimeout(timer);
    session.off("error", onError);
    session.off("close", onClose);
    carrier.off("error", onError);
    carrier.off("close", onClose);
    options.signal?.removeEventListener("abort", onAbort);
  }
}
