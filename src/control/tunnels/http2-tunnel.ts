/** The tunnel connection of an agent of ours: HTTP/2 on a carrier, with `CONNECT` streams to targets. */
import { constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import { TurnaboutError } from "../../wire/errors.ts";
import { headerListBytes, headerListPairs } from "../../wire/fields/http-fields.ts";
import {
  MAX_HEADER_BLOCK_BYTES,
  MAX_HEADER_PAIRS,
  OPEN_STREAMS_PER_CONNECTION,
  RESERVED_STREAMS,
} from "../../wire/limits.ts";
import { formatAuthority } from "../../wire/messages/names.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { CAPABILITY, HEADER } from "../../wire/protocol.ts";
import { carrierBytes } from "../../wire/session/carrier.ts";
import type { Carrier } from "../../wire/session/carrier.ts";
import { sendGoaway } from "../../wire/session/goaway.ts";
import type { Goaway } from "../../wire/session/goaway.ts";
import type { Liveness } from "../../wire/session/keepalive.ts";
import { destroyHttp2Session } from "../../wire/session/reversed-session.ts";
import { hasEnded, resetStream } from "../../wire/streams/end-stream.ts";
import { watchRemoteEnd } from "../../wire/streams/remote-end.ts";
import { onResponse } from "../../wire/streams/response.ts";
import { isRefusedStream, refusal, streamLost } from "../../wire/streams/stream-error.ts";
import { TunnelSocket } from "../../wire/streams/tunnel-socket.ts";
import { DIAL_TIMEOUT_MS } from "../limits.ts";
import type { StreamCause } from "../records/request-record.ts";
import { acceptedWebSocket, webSocketFields } from "./http2-websocket.ts";
import type {
  Opening,
  OpenOptions,
  TargetSocket,
  TargetStream,
  Tunnel,
  TunnelKind,
  WebSocketRequest,
  WebSocketResponse,
} from "./tunnel.ts";

export interface Http2TunnelParts {
  carrier: Carrier;
  http2Session: ClientHttp2Session;
  liveness: Pick<Liveness, "rttMs">;
  /** Of the agent: {@link CAPABILITY}. */
  capabilities: readonly string[];
  /**
   * Adds to the fields of each stream, in the turn in which it is opened. Default: nothing.
   *
   * @param cause undefined for a stream that serves requests of several callers, and for one of this process itself
   */
  addFields?: AddFields | undefined;
}

export type AddFields = (headers: OutgoingHttpHeaders, cause: StreamCause | undefined) => OutgoingHttpHeaders;

export class Http2Tunnel implements Tunnel {
  readonly isAgentsOnly = false;
  readonly hasLeftUnannounced = false;
  readonly http2Session: ClientHttp2Session;
  readonly carrier: Carrier;
  /** To targets, that are open. */
  readonly streams: Set<ClientHttp2Stream> = new Set();
  readonly #liveness: Pick<Liveness, "rttMs">;
  readonly #capabilities: readonly string[];
  readonly #addFields: AddFields | undefined;
  readonly #onClose: (() => void)[] = [];

  constructor({ carrier, http2Session, liveness, capabilities, addFields }: Http2TunnelParts) {
    this.http2Session = http2Session;
    this.carrier = carrier;
    this.#liveness = liveness;
    this.#capabilities = capabilities;
    this.#addFields = addFields;
    // One listener for all: node warns of a leak above ten.
    http2Session.once("close", () => {
      for (const listener of this.#onClose.splice(0)) listener();
      carrier.stream.destroy();
    });
  }

  get kind(): TunnelKind {
    return this.carrier.kind;
  }

  get remoteAddress(): string | undefined {
    return this.carrier.remoteAddress;
  }

  get rttMs(): number | undefined {
    return this.#liveness.rttMs;
  }

  get transferredBytes(): number {
    return carrierBytes(this.carrier.stream);
  }

  get isOpen(): boolean {
    return !this.http2Session.closed && !this.hasEnded;
  }

  get hasEnded(): boolean {
    return hasEnded(this.http2Session);
  }

  /** Below the peer's own limit: nghttp2 queues streams above it, and fails them when an abort frees a place. */
  get maxStreams(): number {
    const peerLimit = this.http2Session.remoteSettings.maxConcurrentStreams ?? OPEN_STREAMS_PER_CONNECTION;
    // `/events` holds one stream as long as the connection is open.
    const least = Math.min(1, peerLimit - (this.#capabilities.includes(CAPABILITY.events) ? 1 : 0));
    return Math.min(OPEN_STREAMS_PER_CONNECTION, Math.max(least, peerLimit - RESERVED_STREAMS));
  }

  onClose(listener: () => void): void {
    this.#onClose.push(listener);
  }

  onDrain(listener: (isShutdown: boolean) => void): void {
    this.http2Session.once("goaway", (code) => listener(code === constants.NGHTTP2_NO_ERROR));
  }

  /** Bytes may be written at once: the agent reads them only when the target has accepted. */
  openSocket(destination: Destination, onClose: () => void, cause?: StreamCause): TargetSocket {
    const stream = this.request(this.#connectFields(destination, cause), onClose);
    return new TunnelSocket(stream, labelOf(destination));
  }

  openStream(
    destination: Destination,
    { onClose, signal, early, cause }: OpenOptions,
  ): Opening<TargetStream> {
    const stream = this.request(this.#connectFields(destination, cause), onClose, cause);
    early?.sendTo(stream);
    return {
      accepted: accepted(stream, labelOf(destination), signal),
      isUnprocessed: (error) => isProvablyUnprocessed(stream, error, true),
    };
  }

  openWebSocket(
    destination: Destination,
    request: WebSocketRequest,
    { onClose, signal, cause }: OpenOptions,
  ): Opening<WebSocketResponse> {
    const marksRefusals = this.#capabilities.includes(CAPABILITY.proxyStatus);
    const fields = webSocketFields(request.fields, this.#capabilities.includes(CAPABILITY.targetHost));
    const stream = this.request(
      {
        ...fields,
        ...this.#idField(cause),
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":scheme": "http",
        ":authority": formatAuthority(destination),
        ":path": request.path,
      },
      onClose,
      cause,
    );
    const { timeoutMs } = request;
    return {
      accepted: acceptedWebSocket(stream, { label: labelOf(destination), timeoutMs, signal, marksRefusals }),
      isUnprocessed: (error) => isProvablyUnprocessed(stream, error, marksRefusals),
    };
  }

  #connectFields(destination: Destination, cause: StreamCause | undefined): OutgoingHttpHeaders {
    const authority = formatAuthority(destination);
    return {
      ":method": "CONNECT",
      ":authority": authority,
      ...this.#idField(cause),
      ...traceFieldsOf(cause),
    };
  }

  /** An agent that does not know the field would pass it on to a target. */
  #idField(cause: StreamCause | undefined): OutgoingHttpHeaders {
    const isSent = cause !== undefined && this.#capabilities.includes(CAPABILITY.requestId);
    return isSent ? { [HEADER.requestId]: cause.id } : {};
  }

  ping(onAcknowledged: (error: Error | null, durationMs: number) => void): void {
    this.http2Session.ping(onAcknowledged);
  }

  announceEnd(goaway: Goaway): void {
    sendGoaway(this.http2Session, goaway);
  }

  /** nghttp2 sends no PING from then on: whoever calls this has a deadline. */
  close(): void {
    this.http2Session.close();
  }

  destroy(reason: TurnaboutError): void {
    destroyHttp2Session(this.http2Session, this.carrier.stream, reason);
  }

  /**
   * Opens a stream with these fields.
   *
   * @param cause as of {@link AddFields}
   * @throws TurnaboutError `headers_too_large`
   */
  request(plain: OutgoingHttpHeaders, onClose: () => void, cause?: StreamCause): ClientHttp2Stream {
    const headers = this.#addFields === undefined ? plain : this.#addFields(plain, cause);
    // Checked here: a larger block makes nghttp2 close the whole session; more fields are refused without a reason.
    const fields = headers as Record<string, string | string[]>;
    if (headerListPairs(fields) >= MAX_HEADER_PAIRS || headerListBytes(fields) > MAX_HEADER_BLOCK_BYTES) {
      const max = `${MAX_HEADER_BLOCK_BYTES} bytes or ${MAX_HEADER_PAIRS} fields`;
      throw new TurnaboutError("headers_too_large", `dial: the header has more than ${max}`);
    }
    const stream = this.http2Session.request(headers);
    watchRemoteEnd(stream);
    stream.on("error", () => {}); // permanent: 'error' can come after 'end'
    this.streams.add(stream);
    stream.once("close", () => {
      this.streams.delete(stream);
      onClose();
    });
    return stream;
  }
}

/** Any agent may have them, as it does not send the fields of a `CONNECT` on. */
function traceFieldsOf(cause: StreamCause | undefined): OutgoingHttpHeaders | undefined {
  const trace = cause?.trace;
  if (trace === undefined) return undefined;
  const { traceparent, tracestate } = trace;
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate };
}

function labelOf({ runner, target }: Destination): string {
  return `${runner} ${target}`;
}

/**
 * REFUSED_STREAM means that the agent has not processed the request (RFC 9113 §8.7), and so does its refusal while it drains.
 *
 * @param marksRefusals false for an agent whose `agent_draining` may be the response of a target that was reached
 */
function isProvablyUnprocessed(stream: ClientHttp2Stream, error: unknown, marksRefusals: boolean): boolean {
  if (isRefusedStream(stream)) return true;
  return marksRefusals && error instanceof TurnaboutError && error.code === "agent_draining";
}

/** @param signal of the caller; its reason is the error's cause */
export function aborted(label: string, signal?: AbortSignal): TurnaboutError {
  const cause: unknown = signal?.reason;
  return new TurnaboutError("aborted", `dial ${label}: aborted by the caller`, { cause });
}

/** The agent has not responded to a dial. */
export function noResponse(label: string): TurnaboutError {
  return new TurnaboutError("tunnel_timeout", `dial ${label}: no response within ${DIAL_TIMEOUT_MS} ms`);
}

/** Resolves when the agent responds with 200. Any other end resets the stream. */
async function accepted(
  stream: ClientHttp2Stream,
  label: string,
  signal: AbortSignal | undefined,
): Promise<ClientHttp2Stream> {
  const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Stream>();
  const timer = setTimeout(() => {
    fail(noResponse(label));
  }, DIAL_TIMEOUT_MS);
  function fail(error: Error): void {
    reject(error);
    resetStream(stream, error);
  }
  const onAbort = () => fail(aborted(label, signal));
  const { session } = stream;
  onResponse(stream, {
    response: (headers) => {
      if (headers[":status"] === 200) resolve(stream);
      else fail(refusal(headers, label));
    },
    lost: (cause) => reject(streamLost(stream, label, { cause, http2Session: session })),
  });
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
