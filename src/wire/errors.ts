/**
 * The one error class. Its codes are a closed set: {@link ERROR_TABLE} says for each what it means on HTTP, and
 * docs/errors.md explains each to an operator.
 */
import { ERROR_TABLE } from "./error-table.ts";
import type { ErrorCode } from "./error-table.ts";

/** Who caused it: this process (`local`), the other end of the tunnel or the target (`remote`), or the caller (`user`). */
export type Initiator = "local" | "remote" | "user";

export interface TurnaboutErrorOptions {
  cause?: unknown;
  /** Seconds after which a retry makes sense (`Retry-After`). Default: the table's. */
  retryAfterS?: number;
  /** What exactly is wrong with the caller's own input: safe to show to the caller. */
  details?: readonly string[];
  /** What to do about it; a command prints it behind `hint:`. */
  hint?: string;
}

/**
 * @example
 * ```ts
 * try {
 *   await dial("wolf-local", "wolf");
 * } catch (error) {
 *   if (error instanceof TurnaboutError && error.code === "runner_offline") await later();
 * }
 * ```
 */
export class TurnaboutError extends Error {
  override readonly name = "TurnaboutError";
  readonly code: ErrorCode;
  readonly retryAfterS: number | undefined;
  readonly details: readonly string[] | undefined;
  readonly hint: string | undefined;

  /** @param message phase, subject and what happened: `dial wolf-1 wolf: connection refused by the target` */
  constructor(code: ErrorCode, message: string, options: TurnaboutErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details;
    this.hint = options.hint;
    this.retryAfterS = options.retryAfterS ?? ERROR_TABLE[code].retryAfterS;
  }

  get initiator(): Initiator {
    return ERROR_TABLE[this.code].initiator;
  }

  /** HTTP status that this error becomes. */
  get status(): number {
    return ERROR_TABLE[this.code].status;
  }
}

/** The only place where an unknown value becomes an Error. */
export function toError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value));
}

/** `code` of a Node system or library error, if it has one. */
export function errorCodeOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("code" in value)) return undefined;
  return typeof value.code === "string" ? value.code : undefined;
}
