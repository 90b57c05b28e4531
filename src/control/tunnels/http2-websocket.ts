/** Extended CONNECT to a target (RFC 8441): its fields, and the target's response or the agent's refusal. */
import type { ClientHttp2Stream } from "node:http2";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Phase } from "../../wire/errors.ts";
import { codeFromStatus } from "../../wire/failure-codes.ts";
import { hasOwnProxyStatus, parseProxyStatus } from "../../wire/fields/proxy-status.ts";
import { HEADER } from "../../wire/protocol.ts";
import { resetStream } from "../../wire/streams/end-stream.ts";
import { onResponse } from "../../wire/streams/response.ts";
import type { ResponseHeaders } from "../../wire/streams/response.ts";
import { codeOfAgent, refusedByAgent, streamLost } from "../../wire/streams/stream-error.ts";
import type { WebSocketResponse } from "./tunnel.ts";

/** @param knowsTargetHost the agent has {@link CAPABILITY.targetHost} */
export function webSocketFields(
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
  delete record[HEADER.requestId];
  const { host, ...rest } = record;
  if (host === undefined || !knowsTargetHost) return record;
  return { ...rest, [HEADER.targetHost]: host };
}

export interface HandshakeOptions {
  label: string;
  timeoutMs: number;
  signal: AbortSignal | undefined;
  /** The agent has {@link CAPABILITY.proxyStatus}. */
  marksRefusals: boolean;
}

/** Resolves to the target's own response; anything else resets the stream. */
export async function acceptedWebSocket(
  stream: ClientHttp2Stream,
  { label, timeoutMs, signal, marksRefusals }: HandshakeOptions,
): Promise<WebSocketResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<WebSocketResponse>();
  const fail = (error: TurnaboutError) => {
    reject(error);
    resetStream(stream, error);
  };
  const timer = setTimeout(() => {
    const message = `WebSocket ${label}: no response to the handshake from the target within ${timeoutMs} ms`;
    fail(new TurnaboutError("response_timeout", message));
  }, timeoutMs);
  const onAbort = () => {
    const message = `WebSocket ${label}: the caller has left before the target's response`;
    fail(new TurnaboutError("aborted", message, { cause: signal?.reason }));
  };
  signal?.addEventListener("abort", onAbort, { once: true });
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
            ? refusedByAgent(refused, message, headers, phaseOf(refused))
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
    signal?.removeEventListener("abort", onAbort);
  }
}

/** An agent makes the handshake with a target that it has reached. */
const AFTER_CONNECT: ReadonlySet<ErrorCode> = new Set([
  "response_timeout",
  "target_protocol",
  "target_closed",
]);

function phaseOf(code: ErrorCode): Phase {
  return AFTER_CONNECT.has(code) ? "response" : "connect";
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

/** The 2xx of a target that has ignored the upgrade (RFC 9110 §7.8): {@link HEADER.targetStatus}. */
function ignoredUpgrade(headers: ResponseHeaders, refused: ErrorCode | undefined): number | undefined {
  const value = headers[HEADER.targetStatus];
  const isStatus = typeof value === "string" && /^2\d\d$/.test(value);
  return refused === "target_protocol" && isStatus ? Number(value) : undefined;
}
