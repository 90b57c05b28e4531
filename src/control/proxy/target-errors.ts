/** Why a request to a target failed, as an error of ours, what is reported of it at both ends, and how its response ends. */
import { codeFromUndici } from "../../clients/http/undici-errors.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { CodedError, Phase } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { targetHint } from "../../wire/system/target-hints.ts";
import { lossOf } from "../../wire/streams/stream-error.ts";
import { sendFailureNotice } from "../admission/agent-notices.ts";
import { isGrpc } from "../fields/header-fields.ts";
import { callerResetCode } from "../http2-target/reset.ts";
import { ABANDONED_AFTER_MS } from "../limits.ts";
import { breakResponse, sendError } from "../listener/error-response.ts";
import type { AnyRequest, AnyResponse } from "../listener/messages.ts";
import type { RequestRecord } from "../records/request-record.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import type { ProxyContext, ProxyJob } from "./job.ts";

/** A request whose response has failed, or is given up. */
export interface FailedRequest {
  job: ProxyJob;
  record: RequestRecord;
  /** The connection that it has got. */
  agent: AgentConnection | undefined;
  /** A byte of the response has come. */
  hasBegun: boolean;
}

export const SILENT_HINT =
  "look at the target's process: it accepts connections and does not respond; the agent's line with this id has its address";

const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  response_timeout: SILENT_HINT,
  target_closed: "look at the target's log; a port that speaks TLS, or no HTTP, closes like this too",
  target_protocol: "does the target speak HTTP at this port, and the version that its --target declares?",
};

/** Of a failed request's log line. */
export function hintFor(
  code: string | undefined,
  errno: string | undefined,
  phase: Phase | undefined,
): string | undefined {
  return phase === "connect" ? targetHint(code, errno) : HINTS[code as ErrorCode];
}

/** In our words: those of the HTTP library do not name the target, nor what it did. */
export function targetError(error: Error, failed: FailedRequest): TurnaboutError {
  // The stream's own loss says that it was reset, and not how far the response had come.
  const isKnown = error instanceof TurnaboutError && !(error.code === "target_closed" && isOurs(error));
  if (isKnown) return offlineIfExpected(error, failed.job);
  const code = error instanceof TurnaboutError ? error.code : (codeFromUndici(error) ?? "internal");
  const what = describe(code, failed, error.message);
  const { runner, target } = failed.job.destination;
  return new TurnaboutError(code, what === undefined ? error.message : `${runner} ${target}: ${what}`, {
    cause: error,
  });
}

function describe(
  code: ErrorCode,
  { record: { phase, waitedMs }, hasBegun }: FailedRequest,
  detail: string,
): string | undefined {
  switch (code) {
    case "response_timeout":
      return hasBegun
        ? `the target has stopped within the header of its response, and was given up after ${waitedMs} ms`
        : `the target was reached and is silent: not a byte of a response within ${waitedMs} ms`;
    case "target_closed":
      if (phase === "content") return "the target has closed the connection before the end of its content";
      return hasBegun
        ? `the target has closed the connection within the header of its response, after ${waitedMs} ms`
        : `the target has closed the connection without a byte of a response, after ${waitedMs} ms`;
    case "target_protocol":
      return `the target's response is not valid HTTP: ${detail}`;
    case "bad_request":
      return `the request cannot be forwarded to the target: ${detail}`;
    default:
      return undefined;
  }
}

/** Noticed at this end, and not an agent's refusal: that one has a phase. */
function isOurs({ phase }: TurnaboutError): boolean {
  return phase === undefined;
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
  error: Partial<Pick<CodedError, "code" | "errno" | "phase">>,
  record: RequestRecord,
): { client: string; [field: string]: unknown } {
  const { code, errno } = error;
  // A WebSocket's stream is accepted with the target's response only.
  const phase = error.phase ?? (code === "response_timeout" ? "response" : record.phase);
  return {
    runner,
    target,
    credential: identity.id,
    client: client.address,
    code,
    errno,
    phase,
    ...((phase === "connect" || phase === "response") && { waitedMs: record.waitedMs }),
    hint: hintFor(code, errno, phase),
    requestId: record.id,
    traceId: record.spans?.traceId,
  };
}

/** Logs it here, and at the agent, which passes bytes on and does not see what we make of them. */
export function reportFailure(
  error: TurnaboutError,
  failed: FailedRequest,
  { log, refusalLog }: Pick<ProxyContext, "log" | "refusalLog">,
): void {
  const fields = failureFields(failed.job, error, failed.record);
  refusalLog.info({ ...fields, reason: error.message }, "request failed");
  notifyAgent(error, failed, log);
}

/** A caller that has waited for a response and has left. The target may be silent; sooner, it is nobody's fault. */
export function reportAbandoned(
  failed: FailedRequest,
  { log, refusalLog }: Pick<ProxyContext, "log" | "refusalLog">,
): void {
  const { job, record, hasBegun } = failed;
  const { phase, waitedMs } = record;
  if (phase !== "response" || waitedMs < ABANDONED_AFTER_MS) return;
  const { runner, target } = job.destination;
  const what = hasBegun ? "with a part of its header" : "without a byte of a response";
  const reason = `${runner} ${target}: the caller has left after ${waitedMs} ms ${what}`;
  const fields = { ...failureFields(job, { code: "aborted" }, record), hint: SILENT_HINT };
  refusalLog.info({ ...fields, reason }, "the caller has left before the target's response");
  notifyAgent(new TurnaboutError("response_timeout", reason), failed, log);
}

/** Where an agent has refused a stream itself, it has logged why. */
export function notifyAgent(
  error: unknown,
  { job, record, agent, hasBegun: begun }: FailedRequest,
  log: Logger,
): void {
  if (!(error instanceof TurnaboutError) || !isOurs(error) || agent === undefined) return;
  const { waitedMs, id: requestId } = record;
  const notice = { ...job.destination, requestId, waitedMs, begun };
  const content = record.phase === "content";
  const { code } = error;
  if (code === "response_timeout") sendFailureNotice(agent, { silent: [notice] }, log);
  else if (code === "target_closed" || code === "target_protocol")
    sendFailureNotice(agent, { faulty: [{ ...notice, code, content }] }, log);
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
