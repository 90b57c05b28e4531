/** Opens a WebSocket at a target: Extended CONNECT, up to the target's own response. */
import type { ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { resetStream } from "../../wire/streams/end-stream.ts";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { codeFromStatus } from "../../wire/failure-codes.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { formatAuthority } from "../../wire/messages/names.ts";
import { CAPABILITY, HEADER } from "../../wire/protocol.ts";
import { hasOwnProxyStatus, parseProxyStatus } from "../../wire/fields/proxy-status.ts";
import { onResponse } from "../../wire/streams/response.ts";
import type { ResponseHeaders } from "../../wire/streams/response.ts";
import { codeOfAgent, refusedByAgent, streamLost } from "../../wire/streams/stream-error.ts";
import { requestedTimeoutMs, requestFields } from "../fields/header-fields.ts";
import type { TargetDeclaration } from "../fields/header-fields.ts";
import type { ProxyContext, ProxyJob } from "../proxy/job.ts";
import { RESPONSE_TIMEOUT_MS } from "../limits.ts";
import type { AnyRequest } from "../listener/messages.ts";
import { preferredWaitMs } from "../fields/prefer.ts";
import { credentialHolder } from "../shares/holders.ts";

/** The target's response to the handshake. */
export interface HandshakeResponse {
  stream: ClientHttp2Stream;
  /** The WebSocket is open; otherwise the target has refused it, or has ignored the upgrade. */
  isOpen: boolean;
  /** The target's own, or 200 for an open WebSocket. */
  status: number;
  headers: IncomingHttpHeaders;
  /** The target's declaration at its agent. */
  target: TargetDeclaration;
}

/**
 * A stream that the agent has provably not processed is opened again, as for a dial.
 *
 * @throws TurnaboutError if the handshake fails before the target's own response
 */
export async function openWebSocket(
  request: AnyRequest,
  job: ProxyJob,
  context: ProxyContext,
  signal: AbortSignal,
): Promise<HandshakeResponse> {
  const { destination, path } = job;
  const pseudoFields = {
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":scheme": "http",
    ":authority": formatAuthority(destination),
    ":path": path,
  };
  const options = {
    waitMs: preferredWaitMs(request.headers),
    signal,
    caller: credentialHolder(job.identity),
  };
  return context.dialer.open(destination, options, (connection) => {
    const { capabilities } = connection.hello;
    if (!capabilities.includes(CAPABILITY.websocket)) {
      throw new TurnaboutError("tunnel_protocol", "WebSocket: the agent does not support WebSockets");
    }
    if (connection.httpOf(destination) === "2") {
      const label = `${destination.runner} ${destination.target}`;
      throw new TurnaboutError("not_supported", `WebSocket ${label}: the target speaks HTTP/2`);
    }
    const target = connection.targetInfo(destination);
    const fields = requestFields(request, job, target);
    const headers = handshakeFields(fields, capabilities.includes(CAPABILITY.targetHost));
    const marksRefusals = capabilities.includes(CAPABILITY.proxyStatus);
    return {
      headers: { ...headers, ...pseudoFields },
      marksRefusals,
      accepted: async (stream) => ({
        ...(await responseTo(stream, { request, job, context, signal, marksRefusals })),
        target,
      }),
    };
  });
}

/**
 * Undefined for the target's own response. An agent that does not mark its refusals passes on a target's `Proxy-Status` as
 * well: it then counts only with the status that the agent would send.
 */
function codeOfRefusal(headers: ResponseHeaders, marksRefusals: boolean): ErrorCode | undefined {
  const { ":status": status = 502, "proxy-status": value } = headers;
  const code = parseProxyStatus(value);
  if (marksRefusals) return hasOwnProxyStatus(value) ? (code ?? codeFromStatus(status)) : undefined;
  return code !== undefined && ERROR_TABLE[code].status === status ? code : undefined;
}

interface HandshakeContext {
  request: AnyRequest;
  job: ProxyJob;
  context: ProxyContext;
  signal: AbortSignal;
  /** The agent has {@link CAPABILITY.proxyStatus}. */
  marksRefusals: boolean;
}

async function responseTo(
  stream: ClientHttp2Stream,
  { request, job: { destination }, context, signal, marksRefusals }: HandshakeContext,
): Promise<Omit<HandshakeResponse, "target">> {
  const { promise, resolve, reject } = Promise.withResolvers<Omit<HandshakeResponse, "target">>();
  const fail = (error: TurnaboutError) => {
    reject(error);
    resetStream(stream, error);
  };
  const timeoutMs = requestedTimeoutMs(request.headers, context.responseTimeoutMs ?? RESPONSE_TIMEOUT_MS);
  const timer = setTimeout(() => {
    fail(new TurnaboutError("response_timeout", `WebSocket handshake: no response within ${timeoutMs} ms`));
  }, timeoutMs);
  const onAbort = () => fail(new TurnaboutError("aborted", "the caller has disconnected"));
  signal.addEventListener("abort", onAbort, { once: true });
  const label = `${destination.runner} ${destination.target}`;
  const { session } = stream;
  onResponse(stream, {
    response: (headers) => {
      const status = headers[":status"] ?? 502;
      delete headers["sec-websocket-accept"]; // for the agent's own handshake; the caller's has another key
      const refused = codeOfRefusal(headers, marksRefusals);
      const ignored = marksRefusals ? ignoredUpgrade(headers, refused) : undefined;
      if (ignored !== undefined) resolve({ stream, isOpen: false, status: ignored, headers });
      else if (refused === undefined) resolve({ stream, isOpen: status === 200, status, headers });
      else {
        const message = `WebSocket ${label}: refused by the agent (${status})`;
        // Without the mark it may be the target's own response.
        fail(
          marksRefusals
            ? refusedByAgent(refused, message)
            : new TurnaboutError(codeOfAgent(refused), message),
        );
      }
    },
    lost: (cause) => reject(streamLost(stream, label, { cause, http2Session: session })),
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/** The 2xx of a target that has ignored the upgrade (RFC 9110 §7.8): {@link HEADER.targetStatus}. */
function ignoredUpgrade(headers: ResponseHeaders, refused: ErrorCode | undefined): number | undefined {
  const value = headers[HEADER.targetStatus];
  const isStatus = typeof value === "string" && /^2\d\d$/.test(value);
  return refused === "target_protocol" && isStatus ? Number(value) : undefined;
}

function handshakeFields(
  fields: readonly string[],
  knowsTargetHost: boolean,
): Record<string, string | string[]> {
  const record: Record<string, string | string[]> = {};
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    const known = record[name];
    if (known === undefined) record[name] = value;
    else record[name] = [...(Array.isArray(known) ? known : [known]), value];
  }
  delete record["sec-websocket-key"]; // each hop has its own (RFC 8441 §5)
  delete record[HEADER.targetHost];
  const { host, ...rest } = record;
  if (host === undefined || !knowsTargetHost) return record;
  return { ...rest, [HEADER.targetHost]: host };
}
