/** Opens a WebSocket at a target, up to the target's own response. */
import { TurnaboutError } from "../../wire/errors.ts";
import { CAPABILITY } from "../../wire/protocol.ts";
import { requestedTimeoutMs, requestFields } from "../fields/header-fields.ts";
import type { TargetDeclaration } from "../fields/header-fields.ts";
import { notifyAgent } from "../proxy/target-errors.ts";
import type { ProxyContext, ProxyJob } from "../proxy/job.ts";
import { RESPONSE_TIMEOUT_MS } from "../limits.ts";
import type { AnyRequest } from "../listener/messages.ts";
import { preferredWait } from "../fields/prefer.ts";
import { credentialHolder } from "../shares/holders.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import type { RequestRecord } from "../records/request-record.ts";
import { setTraceFields } from "../records/request-trace.ts";
import type { WebSocketResponse } from "../tunnels/tunnel.ts";

/** The target's response to the handshake. */
export interface HandshakeResponse extends WebSocketResponse {
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
  record: RequestRecord,
): Promise<HandshakeResponse> {
  const { destination, path } = job;
  const options = {
    ...preferredWait(request.headers),
    signal,
    caller: credentialHolder(job.identity),
    record,
  };
  const timeoutMs = requestedTimeoutMs(request.headers, context.responseTimeoutMs ?? RESPONSE_TIMEOUT_MS);
  let target: TargetDeclaration;
  let agent: AgentConnection | undefined;
  const opening = context.dialer.open(destination, options, (connection, onClose) => {
    agent = connection;
    if (!connection.hello.capabilities.includes(CAPABILITY.websocket)) {
      throw new TurnaboutError("tunnel_protocol", "WebSocket: the agent does not support WebSockets");
    }
    if (connection.httpOf(destination) === "2") {
      const label = `${destination.runner} ${destination.target}`;
      throw new TurnaboutError("not_supported", `WebSocket ${label}: the target speaks HTTP/2`);
    }
    target = connection.targetInfo(destination);
    const fields = requestFields(request, job, target);
    if (record.spans !== undefined) setTraceFields(fields, record.spans, job);
    const opened = { path, fields, timeoutMs };
    return connection.open(destination, onClose, (tunnel, closed) =>
      tunnel.openWebSocket(destination, opened, { onClose: closed, signal, cause: record }),
    );
  });
  try {
    const response = await opening;
    record.responded();
    return { ...response, target };
  } catch (error) {
    notifyAgent(error, { job, record, agent, hasBegun: false }, context.log);
    throw error;
  }
}
