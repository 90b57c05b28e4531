/**
 * Both ends of a tunnel connection: an HTTP/2 session on a connection that its server (the agent) has dialled.
 *
 *     agent                                   control plane
 *       │ ── dials a carrier (TLS, 101) ──────────▶ │
 *       │ ◀───────────── PRI * HTTP/2.0, SETTINGS ── │   HTTP client role
 *       │ ── SETTINGS ────────────────────────────▶ │
 *       │ ◀───────────────────────── GET /hello ──── │
 *       │ ◀────────────── CONNECT wolf.wolf-local ── │
 *       │ ── 200, then the target's bytes ────────▶ │   HTTP server role
 *
 * Both ends raise the windows (a connection with the defaults moves 64 KiB per round trip), `maxSessionMemory` and the reset
 * budget, and wait for the peer's SETTINGS: requests made earlier would ignore the peer's limits.
 */
import http2 from "node:http2";
import type { ClientHttp2Session, Http2Session, ServerHttp2Session } from "node:http2";
import type { Duplex } from "node:stream";
import { endHttp2Session, guardHttp2Session, hasEnded, widenConnection } from "../streams/end-stream.ts";
import { replaceStreamTables } from "./stream-tables.ts";
import { TurnaboutError } from "../errors.ts";
import {
  AGENT_MAX_STREAMS,
  CARRIER_DESTROY_DELAY_MS,
  CONNECTION_WINDOW_BYTES,
  MAX_FRAME_BYTES,
  MAX_HEADER_BLOCK_BYTES,
  MAX_HEADER_PAIRS,
  MAX_OUTSTANDING_PINGS,
  HTTP2_HANDSHAKE_TIMEOUT_MS,
  HTTP2_SESSION_MEMORY_MB,
  STREAM_RESET_BURST,
  STREAM_RESET_RATE,
  STREAM_WINDOW_BYTES,
  TUNNEL_OVERHEAD_BURST_BYTES,
  TUNNEL_OVERHEAD_BYTES_PER_S,
} from "../limits.ts";
import { AGENT_AUTHORITY } from "../protocol.ts";
import { countersOf, watchFloods } from "./flood-watch.ts";
import type { FloodLimits } from "./flood-watch.ts";

const SETTINGS = {
  initialWindowSize: STREAM_WINDOW_BYTES,
  maxFrameSize: MAX_FRAME_BYTES,
  maxHeaderListSize: MAX_HEADER_BLOCK_BYTES,
};

const FLOOD_LIMITS: FloodLimits = {
  overheadBytes: { burst: TUNNEL_OVERHEAD_BURST_BYTES, perS: TUNNEL_OVERHEAD_BYTES_PER_S },
  lateBytesPerStream: STREAM_WINDOW_BYTES,
  maxLateBytes: CONNECTION_WINDOW_BYTES,
};

export interface HandshakeOptions {
  signal?: AbortSignal | undefined;
  /** Default {@link HTTP2_HANDSHAKE_TIMEOUT_MS}. */
  timeoutMs?: number | undefined;
}

/**
 * Control plane: the HTTP client role on a carrier that an agent has dialled. Call it in the callback of the last write
 * to the carrier, not earlier: on TLS a pending write aborts the process, on TCP the preface overtakes it.
 *
 * @throws TurnaboutError `carrier_failed` if the agent's SETTINGS do not arrive in time
 */
export async function openReversed(
  carrier: Duplex,
  options: HandshakeOptions = {},
): Promise<ClientHttp2Session> {
  prepare(carrier);
  const http2Session = http2.connect(`http://${AGENT_AUTHORITY}`, {
    createConnection: () => carrier,
    maxSessionMemory: HTTP2_SESSION_MEMORY_MB,
    maxHeaderListPairs: MAX_HEADER_PAIRS,
    maxOutstandingPings: MAX_OUTSTANDING_PINGS,
    maxSendHeaderBlockLength: MAX_HEADER_BLOCK_BYTES,
    settings: { ...SETTINGS, enablePush: false },
  });
  guardHttp2Session(http2Session);
  replaceStreamTables(http2Session);
  endFloods(http2Session, carrier);
  await established(http2Session, carrier, options);
  return http2Session;
}

/**
 * Agent: the HTTP server role on a carrier that it has dialled.
 *
 * @param accept adds the listeners for streams, before the first can arrive
 *
 * @throws TurnaboutError `carrier_failed` if the control plane's preface does not arrive in time
 */
export async function serveReversed(
  carrier: Duplex,
  accept: (http2Session: ServerHttp2Session) => void,
  options: HandshakeOptions = {},
): Promise<ServerHttp2Session> {
  prepare(carrier);
  const http2Session = http2.performServerHandshake(carrier, {
    maxSessionMemory: HTTP2_SESSION_MEMORY_MB,
    maxHeaderListPairs: MAX_HEADER_PAIRS,
    strictSingleValueFields: false, // a repeated field must not throw
    maxOutstandingPings: MAX_OUTSTANDING_PINGS,
    streamResetBurst: STREAM_RESET_BURST,
    streamResetRate: STREAM_RESET_RATE,
    settings: { ...SETTINGS, enableConnectProtocol: true, maxConcurrentStreams: AGENT_MAX_STREAMS },
  });
  guardHttp2Session(http2Session);
  replaceStreamTables(http2Session);
  endFloods(http2Session, carrier);
  accept(http2Session);
  await established(http2Session, carrier, options);
  return http2Session;
}

/** Ends a tunnel connection at once, on every carrier: its streams fail with errors, never with clean ends. */
export function destroyHttp2Session(http2Session: Http2Session, carrier: Duplex, reason: Error): void {
  endHttp2Session(http2Session, reason);
  if (carrier.destroyed) return;
  const timer = setTimeout(() => carrier.destroy(), CARRIER_DESTROY_DELAY_MS);
  carrier.once("close", () => clearTimeout(timer));
}

function endFloods(http2Session: Http2Session, carrier: Duplex): void {
  watchFloods(http2Session, countersOf(carrier), FLOOD_LIMITS, (reason) => {
    const message = `the peer floods the tunnel connection: ${reason}`;
    destroyHttp2Session(http2Session, carrier, new TurnaboutError("tunnel_protocol", message));
  });
}

function prepare(carrier: Duplex): void {
  // Never removed: without a listener a reset by the peer would end the process.
  carrier.on("error", ignore);
  // An HTTP/2 session on a closed socket would emit nothing until the deadline.
  if (carrier.destroyed)
    throw new TurnaboutError("carrier_failed", "HTTP/2 handshake: the carrier has closed");
  // An upgraded socket is half-open by default: a dead agent's FIN would leave the HTTP/2 session open without any event.
  carrier.allowHalfOpen = false;
}

function ignore(): void {}

async function established(
  http2Session: Http2Session,
  carrier: Duplex,
  options: HandshakeOptions,
): Promise<void> {
  http2Session.on("error", ignore); // never removed; owners listen for 'close'
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timeoutMs = options.timeoutMs ?? HTTP2_HANDSHAKE_TIMEOUT_MS;
  const fail = (what: string, cause?: unknown) => {
    reject(new TurnaboutError("carrier_failed", `HTTP/2 handshake: ${what}`, { cause }));
  };
  const timer = setTimeout(() => fail(`no HTTP/2 SETTINGS within ${timeoutMs} ms`), timeoutMs);
  const onError = (error: Error) => fail(error.message, error);
  const onClose = () => fail("the carrier closed before HTTP/2 SETTINGS");
  const onAbort = () => fail("aborted", options.signal?.reason);
  http2Session.once("remoteSettings", () => resolve());
  http2Session.once("error", onError);
  http2Session.once("close", onClose);
  // A TLS alert may arrive before the HTTP/2 session reads from the socket: then only the socket emits an error.
  carrier.once("error", onError);
  carrier.once("close", onClose);
  options.signal?.addEventListener("abort", onAbort, { once: true });
  if (options.signal?.aborted === true) onAbort();
  try {
    await promise;
    if (hasEnded(http2Session)) {
      throw new TurnaboutError("carrier_failed", "HTTP/2 handshake: the connection ended after SETTINGS");
    }
    widenConnection(http2Session, CONNECTION_WINDOW_BYTES);
  } catch (error) {
    destroyHttp2Session(http2Session, carrier, error as Error);
    throw error;
  } finally {
    clearTimeout(timer);
    http2Session.off("error", onError);
    http2Session.off("close", onClose);
    carrier.off("error", onError);
    carrier.off("close", onClose);
    options.signal?.removeEventListener("abort", onAbort);
  }
}
