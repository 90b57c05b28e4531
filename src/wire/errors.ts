/** Errors with a code of a closed set. Each layer has a class and a table of its own; docs/errors.md explains each code. */
import { ERROR_TABLE } from "./error-table.ts";
import type { ErrorRow, Initiator } from "./error-row.ts";
import type { ErrorCode } from "./error-table.ts";

export interface TurnaboutErrorOptions {
  cause?: unknown;
  /** Seconds after which a retry makes sense (`Retry-After`). Default: the table's. */
  retryAfterS?: number;
  /** What exactly is wrong with the caller's input. Sent to the caller. */
  details?: readonly string[];
  /** What to do about it. A command prints it after `hint:`. */
  hint?: string;
  /** Name of the system's error at the agent. Only logged. */
  errno?: string | undefined;
  /** What was under way. Only logged. */
  phase?: Phase | undefined;
  /** With 405: the methods that the resource has (RFC 9110 §15.5.6). */
  allow?: readonly string[];
}

/**
 * What was under way when a request failed: waiting for a connection of the runner, the agent connecting to the target, waiting
 * for the target's response, or passing that on.
 */
export type Phase = "runner" | "connect" | "response" | "content";

/** What every layer's errors have in common: everything that an HTTP response needs, from the code's row of the table. */
export abstract class CodedError extends Error {
  abstract readonly code: string;
  readonly #row: ErrorRow;
  /** Seconds (`Retry-After`). */
  readonly retryAfterS: number | undefined;
  readonly details: readonly string[] | undefined;
  readonly hint: string | undefined;
  readonly errno: string | undefined;
  readonly phase: Phase | undefined;
  /** `Allow` */
  readonly allow: readonly string[] | undefined;

  /** @param message phase, subject and what happened: `dial wolf-1 wolf: connection refused by the target` */
  constructor(row: ErrorRow, message: string, options: TurnaboutErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.#row = row;
    this.details = options.details;
    this.hint = options.hint;
    this.errno = options.errno;
    this.phase = options.phase;
    this.allow = options.allow;
    this.retryAfterS = options.retryAfterS ?? row.retryAfterS;
  }

  get initiator(): Initiator {
    return this.#row.initiator;
  }

  /** HTTP status of the response. */
  get status(): number {
    return this.#row.status;
  }

  /** `error` parameter of Proxy-Status (RFC 9209 §2.3). */
  get proxyError(): string {
    return this.#row.proxyError;
  }

  /** The fixed public sentence for the code. `message` stays in the log. */
  get text(): string {
    return this.#row.text;
  }
}

/**
 * An error of the tunnel.
 *
 * @example
 * ```ts
 * try {
 *   await dial("wolf-local", "wolf");
 * } catch (error) {
 *   if (error instanceof TurnaboutError && error.code === "runner_offline") await later();
 * }
 * ```
 */
export class TurnaboutError extends CodedError {
  override readonly name = "TurnaboutError";
  readonly code: ErrorCode;

  /** @param message phase, subject and what happened: `dial wolf-1 wolf: connection refused by the target` */
  constructor(code: ErrorCode, message: string, options: TurnaboutErrorOptions = {}) {
    super(ERROR_TABLE[code], message, options);
    this.code = code;
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

/** Several reasons as one sentence, `The request is malformed; status: use 404,5xx`: they lose their full stops, except the last. */
export function joinReasons(reasons: readonly string[]): string {
  return reasons
    .map((reason, index) => (index === reasons.length - 1 ? reason : withoutFullStop(reason)))
    .join("; ");
}

/** Before something is appended to a sentence. */
export function withoutFullStop(sentence: string): string {
  return sentence.replace(/(?<!\.)\.\s*$/, "");
}
