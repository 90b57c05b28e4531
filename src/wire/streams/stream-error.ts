/** Why a stream to a target was refused or lost, with what a retry must know of it. */
import { targetErrnoText } from "../system/target-hints.ts";
import { constants } from "node:http2";
import type { ClientHttp2Stream, Http2Session } from "node:http2";
import { ERROR_TABLE } from "../error-table.ts";
import type { ErrorCode } from "../error-table.ts";
import { TurnaboutError } from "../errors.ts";
import type { Phase, TurnaboutErrorOptions } from "../errors.ts";
import { codeFromRst, codeFromStatus, isKnownErrno } from "../failure-codes.ts";
import { parseProxyStatus } from "../fields/proxy-status.ts";
import { HEADER } from "../protocol.ts";
import { hasEnded } from "./end-stream.ts";
import type { ResponseHeaders } from "./response.ts";

/** What a retry must know of a stream that was refused or lost. */
export interface Loss {
  /** The target had sent bytes on it before: those of an earlier exchange, if the present one has had no response. */
  reused: boolean;
  /** The agent or the target has not processed the request (RFC 9113 §8.7): it was refused while that drains, or reset so. */
  unprocessed: boolean;
  /** The agent has refused it because its target has too many streams: the target has seen nothing of it. */
  saturated?: boolean | undefined;
  /** HTTP/2 error code with which an HTTP/2 target has reset the stream. */
  resetCode?: number | undefined;
}

export class StreamError extends TurnaboutError {
  readonly loss: Loss;

  constructor(code: ErrorCode, message: string, loss: Loss, options?: TurnaboutErrorOptions) {
    super(code, message, options);
    this.loss = loss;
  }

  /** The error as a StreamError: itself if it is one already. */
  static from(error: TurnaboutError, loss: Loss): StreamError {
    if (error instanceof StreamError) return error;
    const { code, message, details, hint, retryAfterS, errno, phase } = error;
    return new StreamError(code, message, loss, {
      cause: error,
      errno,
      phase,
      ...(details !== undefined && { details }),
      ...(hint !== undefined && { hint }),
      ...(retryAfterS !== undefined && { retryAfterS }),
    });
  }
}

/** Undefined for an error that is not about a stream. */
export function lossOf(error: unknown): Loss | undefined {
  return error instanceof StreamError ? error.loss : undefined;
}

/** A code that an agent gives, as the caller's. It does not know the caller's credential: its 401 is not about that one. */
export function codeOfAgent(code: ErrorCode): ErrorCode {
  return code === "unauthenticated" ? "tunnel_protocol" : code;
}

/** An agent's own refusal of a stream. @param headers of the refusal */
export function refusedByAgent(
  reason: ErrorCode,
  message: string,
  headers: ResponseHeaders,
  phase: Phase = "connect",
): StreamError {
  const code = codeOfAgent(reason);
  const errno = errnoOf(headers);
  const loss = {
    reused: false,
    unprocessed: code === "agent_draining",
    saturated: code === "overloaded",
  };
  return new StreamError(code, errno === undefined ? message : `${message} (${errno})`, loss, {
    errno,
    phase,
  });
}

/** Undefined for what is no name of a system error: it is a peer's. */
function errnoOf({ [HEADER.errno]: value }: ResponseHeaders): string | undefined {
  return typeof value === "string" && isKnownErrno(value) ? value : undefined;
}

/** The reason of a refused CONNECT: the one that the agent gives, or what its status means. */
export function refusal(headers: ResponseHeaders, label: string): StreamError {
  const status = headers[":status"] ?? 0;
  const code = parseProxyStatus(headers["proxy-status"]) ?? codeFromStatus(status);
  const text = targetErrnoText(errnoOf(headers)) ?? ERROR_TABLE[code].text;
  return refusedByAgent(code, `dial ${label}: refused with ${status}: ${text}`, headers);
}

export interface StreamLostOptions {
  cause?: Error | undefined;
  /** The stream's HTTP/2 session, noted while the stream was open: node clears `stream.session` at its end. */
  http2Session?: Http2Session | undefined;
  /** The target has sent bytes on the stream. Default false. */
  reused?: boolean | undefined;
  /** Whom the connection leads to. Default: the agent. */
  peer?: string | undefined;
  /** What to do where it is the stream that was reset. */
  resetHint?: string | undefined;
}

/** Why a stream has ended early. A TurnaboutError that caused it gives its code and message. */
export function streamLost(
  stream: ClientHttp2Stream,
  label: string,
  options: StreamLostOptions = {},
): StreamError {
  const { cause, http2Session = stream.session, reused = false, peer = "agent", resetHint } = options;
  const loss: Loss = { reused, unprocessed: isRefusedStream(stream) };
  if (cause instanceof TurnaboutError) return StreamError.from(cause, loss);
  // A lost carrier closes the streams with CANCEL before it destroys their HTTP/2 session: it was not the target.
  const hasLostSession =
    http2Session === undefined || hasEnded(http2Session) || http2Session.socket.destroyed;
  const code = hasLostSession ? "tunnel_lost" : codeFromRst(stream.rstCode);
  const what = hasLostSession
    ? `the connection to the ${peer} was lost`
    : `the ${peer} or the target has reset the stream (code ${stream.rstCode})`;
  return new StreamError(code, `dial ${label}: ${what}`, loss, {
    cause,
    ...(!hasLostSession && resetHint !== undefined && { hint: resetHint }),
  });
}

/** RST_STREAM(REFUSED_STREAM): the peer has not processed the request. */
export function isRefusedStream(stream: ClientHttp2Stream | undefined): boolean {
  return stream?.rstCode === constants.NGHTTP2_REFUSED_STREAM;
}
