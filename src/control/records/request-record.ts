/**
 * What is noted of one request, WebSocket, CONNECT or dial while it runs: for its log line if it fails, and for the access log.
 * It is created for every request, so it has plain fields. After its end the recent requests keep it.
 */
import { CodedError } from "../../wire/errors.ts";
import type { Phase } from "../../wire/errors.ts";
import type { Destination } from "../../wire/messages/names.ts";
import type { TraceFields } from "../../wire/trace/trace-fields.ts";
import { MAX_REASON_LENGTH } from "./limits.ts";

/** How it has come here. */
export const WAYS = ["route", "forward-proxy", "connect", "websocket", "dial", "api"] as const;
export type Way = (typeof WAYS)[number];

/** Of a credential: who has made the request. */
export interface Requester {
  readonly id: string;
  readonly owner: string | undefined;
  readonly kind?: string | undefined;
  readonly fingerprint?: string | undefined;
}

/** The request that a stream is opened for, as far as its agent gets to know it. */
export interface StreamCause {
  readonly id: string;
  /** The span that the agent's belong to. */
  readonly trace?: TraceFields | undefined;
  /** For another node of the cluster, which has the agent. */
  readonly requester?: Requester | undefined;
  readonly client?: string | undefined;
}

/** The spans of a request while it runs. */
export interface RequestSpans {
  readonly traceId: string;
  /** For the agent and for the target. */
  readonly current: TraceFields;
  /** It has got a place on a connection, the first one or another one. */
  placed(connection: string): void;
  /** The agent has reached the target. */
  accepted(way: Way): void;
  end(record: RequestRecord): void;
}

/** What is known of a request before it is authorised: a refusal has it in its record. */
export interface Attempt {
  requester: Requester;
  /** Where it would have gone. The names may be the caller's invention. */
  destination: Destination | undefined;
}

export class RequestRecord implements StreamCause {
  /** Under which the caller, the control plane and the agent speak of it. */
  readonly id: string;
  readonly way: Way;
  readonly startedAt: number = performance.now();
  /** When its last place on a connection was found. */
  #placedAt: number | undefined;
  #requestedAt: number | undefined;
  method: string | undefined;
  /** With its query, as the caller wrote it. */
  path: string | undefined;
  requester: Requester | undefined;
  client: string | undefined;
  runner: string | undefined;
  target: string | undefined;
  /** Id of the tunnel connection that it has got, or got last. */
  connection: string | undefined;
  /** Of the response; undefined where the caller has got none. */
  status: number | undefined;
  /** `ok`, or the code of the error. */
  code: string | undefined;
  /** Why it failed, for operators: it may name addresses. */
  reason: string | undefined;
  /** Name of the system's error at the agent. */
  errno: string | undefined;
  /** Content that the caller has sent, and that it has got from the target. */
  bytesIn = 0;
  bytesOut = 0;
  /** What is under way. */
  phase: Phase = "runner";
  /** Until a connection of the runner was found. */
  queueMs: number | undefined;
  /** From then until the agent had reached the target; 0 on a stream that was open already. */
  dialMs: number | undefined;
  /** From the start to the header of the target's response. */
  firstByteMs: number | undefined;
  /** Set at the end: its length, and when that was in Unix milliseconds. */
  totalMs: number | undefined;
  endedAtMs: number | undefined;
  /** Set where it is traced here. */
  spans: RequestSpans | undefined;
  /** Of the caller, where it is not traced here. */
  callerTrace: TraceFields | undefined;
  /** Set at the end. */
  traceId: string | undefined;

  constructor(id: string, way: Way) {
    this.id = id;
    this.way = way;
  }

  get trace(): TraceFields | undefined {
    return this.spans?.current ?? this.callerTrace;
  }

  get elapsedMs(): number {
    return performance.now() - this.startedAt;
  }

  /** The caller is known, and where it wants to go. */
  attempted({ requester, destination }: Attempt): void {
    this.requester = requester;
    this.runner = destination?.runner;
    this.target = destination?.target;
  }

  /** It has got a place on a connection of the runner. */
  placed(connection: string): void {
    this.connection = connection;
    this.phase = "connect";
    this.#placedAt = performance.now();
    this.queueMs = this.#placedAt - this.startedAt;
    this.spans?.placed(connection);
  }

  /** The agent has reached the target. @param at by `performance.now()`; before its place for a stream that was open already */
  accepted(at: number = performance.now()): void {
    this.phase = "response";
    this.dialMs = Math.max(0, at - (this.#placedAt ?? at));
    this.spans?.accepted(this.way);
  }

  /** The request has been passed to the target's connection. */
  requested(): void {
    this.phase = "response";
    this.#requestedAt = performance.now();
  }

  /** For how long the target has had the request, in whole milliseconds. */
  get waitedMs(): number {
    return Math.round(performance.now() - (this.#requestedAt ?? this.#placedAt ?? this.startedAt));
  }

  /** The header of the target's response is here. @param acceptedAt see {@link accepted} */
  responded(acceptedAt?: number): void {
    if (acceptedAt !== undefined) this.accepted(acceptedAt);
    this.phase = "content";
    this.firstByteMs = this.elapsedMs;
  }

  /** It has failed. The first failure counts: what follows from it is no reason. */
  failed(error: unknown): void {
    if (error instanceof CodedError) {
      this.code = error.code;
      this.errno ??= error.errno;
      if (error.phase !== undefined) this.phase = error.phase;
      else if (error.code === "response_timeout") this.phase = "response"; // a WebSocket's stream is accepted with it
    } else this.code = "internal";
    this.reason ??= error instanceof Error ? error.message.slice(0, MAX_REASON_LENGTH) : undefined;
  }

  /** Behind its end: keeps what is shown of it later. */
  settle(): void {
    this.traceId = this.spans?.traceId;
    this.spans = undefined;
    this.callerTrace = undefined;
  }
}

const RECORD: unique symbol = Symbol("record");
const ATTEMPT: unique symbol = Symbol("attempt");

interface Recorded {
  [RECORD]?: RequestRecord;
  [ATTEMPT]?: Attempt;
}

export function noteAttempt(request: object, attempt: Attempt): void {
  (request as Recorded)[ATTEMPT] = attempt;
}

export function notedAttempt(request: object): Attempt | undefined {
  return (request as Recorded)[ATTEMPT];
}

/** For the parts that only have the request. */
export function attachRecord(request: object, record: RequestRecord): void {
  (request as Recorded)[RECORD] = record;
}

export function attachedRecord(request: object): RequestRecord | undefined {
  return (request as Recorded)[RECORD];
}

export function noteRequester(request: object, requester: Requester): RequestRecord | undefined {
  const record = attachedRecord(request);
  if (record !== undefined) record.requester = requester;
  return record;
}

export function noteFailure(request: object, error: unknown): void {
  attachedRecord(request)?.failed(error);
}
