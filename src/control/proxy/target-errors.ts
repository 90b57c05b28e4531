/** Why a request to a target failed, as an error of ours, what is reported of it at both ends, and how its response ends. */
import { codeFromUndici } from "../../clients/http/undici-errors.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { CodedError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { lossOf } from "../../wire/streams/stream-error.ts";
import { sendNotices } from "../admission/agent-notices.ts";
import { isGrpc } from "../fields/header-fields.ts";
import { callerResetCode } from "../http2-target/reset.ts";
import { breakResponse, sendError } from "../listener/error-response.ts";
import type { AnyRequest, AnyResponse } from "../listener/messages.ts";
import type { RequestRecord } from "../records/request-record.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import type { ProxyJob } from "./job.ts";

const MESSAGES: Readonly<Partial<Record<ErrorCode, string>>> = {
  response_timeout: "no response from the target in time",
  target_protocol: "the target's response is not valid HTTP",
  target_closed: "the target closed without a complete response",
  bad_request: "the request cannot be forwarded to the target",
};

export function targetError(error: Error, job: ProxyJob): TurnaboutError {
  if (error instanceof TurnaboutError) return offlineIfExpected(error, job);
  const code = codeFromUndici(error) ?? "internal";
  return new TurnaboutError(code, MESSAGES[code] ?? error.message, { cause: error });
}

/** A runner of a group is expected before its agent has dialled in: it is offline, not unknown. */
export function offlineIfExpected(error: TurnaboutError, job: ProxyJob): TurnaboutError {
  if (job.group === undefined || error.code !== "runner_unknown") return error;
  return new TurnaboutError("runner_offline", error.message, { cause: error });
}

/** A response that the caller's protocol, or node, cannot represent. */
export function unrepresentable(status: number, cause: unknown): TurnaboutError {
  return new TurnaboutError(
    "target_protocol",
    `the target's response (${status}) cannot be forwarded: ${toError(cause).message}`,
    { cause },
  );
}

/** Fields of its log line: the same id as in the caller's response and at the agent, and never an address of a target. */
export function failureFields(
  { destination: { runner, target }, client, identity }: ProxyJob,
  { code, errno, phase }: Partial<Pick<CodedError, "code" | "errno" | "phase">>,
  record: RequestRecord,
): { client: string; [field: string]: unknown } {
  return {
    runner,
    target,
    credential: identity.id,
    client: client.address,
    code,
    errno,
    // A WebSocket's stream is accepted with the target's response only.
    phase: phase ?? (code === "response_timeout" ? "response" : record.phase),
    requestId: record.id,
    traceId: record.spans?.traceId,
  };
}

/** The agent passes bytes on, and does not see that we have given a request up. Where it has refused a stream itself, it has logged why. */
export function notifyIfSilent(
  error: unknown,
  connection: AgentConnection | undefined,
  { runner, target }: Destination,
  { requestId, log }: { requestId: string; log: Logger },
): void {
  const isOurs = error instanceof TurnaboutError && error.phase === undefined;
  if (!isOurs || error.code !== "response_timeout" || connection === undefined) return;
  sendNotices(connection, { silent: [{ runner, target, requestId }] }, log);
}

/** @param cause as the target's side has reported it */
export function endWithError(
  request: AnyRequest,
  response: AnyResponse,
  error: TurnaboutError,
  cause: Error,
): void {
  const { resetCode } = lossOf(cause) ?? {};
  const isBegun = response.headersSent;
  // A gRPC client understands a reset, and not our error body.
  const mustReset = isBegun || (resetCode !== undefined && isGrpc(request.headers));
  if (mustReset) breakResponse(request, response, callerResetCode(resetCode, isBegun));
  else sendError(request, response, error);
}

export function disconnected(): TurnaboutError {
  return new TurnaboutError("aborted", "the caller has disconnected");
}
