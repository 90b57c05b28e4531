/** Why a request to a target failed, as an error of ours. */
import { codeFromUndici } from "../../clients/http/undici-errors.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
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
