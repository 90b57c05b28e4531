/** The log lines about requests for which a target was not reached, or has sent no response. */
import type { ErrorCode } from "../../wire/error-table.ts";
import type { Phase } from "../../wire/errors.ts";
import { LimitedLog } from "../../wire/limited-log.ts";
import type { Logger } from "../../wire/log.ts";
import { targetHint } from "../../wire/system/target-hints.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { REMEMBERED_FAILURES, TARGET_FAILURES_LOGGED_PER_MINUTE } from "../limits.ts";
import { addressText } from "./targets.ts";
import type { TargetAddress } from "./targets.ts";

/** A request, as both ends name it. */
export interface RequestNames {
  /** As the control plane has sent it: the same id is in its own log, and in the caller's response. */
  requestId?: string | undefined;
  /** Where the agent traces. */
  traceId?: string | undefined;
}

/** Why a stream to a target has failed. */
export interface StreamFailure extends RequestNames {
  code: ErrorCode;
  phase: Phase;
  /** Name of the system's error, if it was one. */
  errno?: string | undefined;
  /** For how long the target had been waited for. */
  waitedMs?: number | undefined;
  /** A part of the response's header had come. */
  begun?: boolean | undefined;
}

export interface TargetFailure extends StreamFailure, Destination {
  address: TargetAddress;
}

export class TargetFailures {
  readonly #log: LimitedLog;
  /** Ids of requests whose response has failed, the oldest first. */
  readonly #reported = new Set<string>();

  constructor(log: Logger) {
    this.#log = new LimitedLog(log, TARGET_FAILURES_LOGGED_PER_MINUTE);
  }

  /** Info, as at the control plane: it is about one request. A target that is down has a warning of its own. */
  add({ address, begun, ...failure }: TargetFailure): void {
    const { runner, target, code, errno, phase, waitedMs, requestId, traceId } = failure;
    if (phase !== "connect" && !this.#isNew(requestId)) return;
    const where = { runner, target, address: addressText(address) };
    const hint = phase === "connect" ? targetHint(code, errno, address.kind) : undefined;
    const fields = { ...where, code, errno, phase, waitedMs, hint, requestId, traceId };
    this.#log.info(fields, describe(failure, begun));
  }

  /** The agent sees the end of a stream, and the control plane reports the same request. */
  #isNew(requestId: string | undefined): boolean {
    if (requestId === undefined) return true;
    if (this.#reported.has(requestId)) return false;
    this.#reported.add(requestId);
    for (const oldest of this.#reported) {
      if (this.#reported.size <= REMEMBERED_FAILURES) break;
      this.#reported.delete(oldest);
    }
    return true;
  }
}

function describe({ code, phase }: StreamFailure, begun = false): string {
  if (phase === "connect") return "target not reached";
  if (phase === "content") return "the target has not completed its response";
  if (code === "response_timeout")
    return begun
      ? "the target has stopped within the header of its response"
      : "the target is silent: it was reached, and has sent nothing";
  if (code === "target_closed")
    return begun
      ? "the target has closed within the header of its response"
      : "the target has closed without a byte of a response";
  return "no valid response from the target";
}
