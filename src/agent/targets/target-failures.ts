/** The log lines about requests for which a target was not reached, or has sent no response. */
import type { ErrorCode } from "../../wire/error-table.ts";
import type { Phase } from "../../wire/errors.ts";
import { LimitedLog } from "../../wire/limited-log.ts";
import type { Logger } from "../../wire/log.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { TARGET_FAILURES_LOGGED_PER_MINUTE } from "../limits.ts";
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
}

export interface TargetFailure extends StreamFailure, Destination {
  address: TargetAddress;
}

export class TargetFailures {
  readonly #log: LimitedLog;

  constructor(log: Logger) {
    this.#log = new LimitedLog(log, TARGET_FAILURES_LOGGED_PER_MINUTE);
  }

  /** Info, as at the control plane: it is about one request. A target that is down has a warning of its own. */
  add({ runner, target, address, code, errno, phase, requestId, traceId }: TargetFailure): void {
    const fields = { runner, target, address: addressText(address), code, errno, phase, requestId, traceId };
    const text = phase === "connect" ? "target not reached" : "no valid response from the target";
    this.#log.info(fields, text);
  }
}
