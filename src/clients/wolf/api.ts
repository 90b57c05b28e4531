/** What all of Wolf's endpoints have in common: JSON, `success`, and how little Wolf stands. */
import { z } from "zod";
import { TurnaboutError } from "../../wire/errors.ts";
import type { CallOptions } from "../http/call.ts";
import type { HttpAnswer } from "../http/exchange.ts";
import { HttpService } from "../http/service.ts";
import type { WholeAnswer } from "../http/service.ts";
import { parseJson } from "../http/lossless-json.ts";
import type { OpenStream } from "../dial/open-stream.ts";
import { beginning, reasonFrom } from "../http/service-error.ts";
import { WolfError } from "./errors.ts";
import { ANSWER_TIMEOUT_MS, MAX_ANSWER_BYTES, MAX_CALLS, MAX_STREAMS, MAX_WAITING_CALLS } from "./limits.ts";

const PREFIX = "/api/v1";

export interface StreamRequest {
  method: "GET" | "POST";
  path: string;
  body?: object;
  timeoutMs: number;
  silenceTimeoutMs: number;
}

export class WolfApi {
  readonly #http: HttpService;

  constructor(open: OpenStream) {
    this.#http = new HttpService(open, {
      name: "wolf",
      calls: { open: MAX_CALLS, waiting: MAX_WAITING_CALLS },
      streams: { open: MAX_STREAMS, waiting: 0 },
      maxAnswerBytes: MAX_ANSWER_BYTES,
    });
  }

  async get<T>(path: string, schema: z.ZodType<T>, options: CallOptions = {}): Promise<T> {
    const answer = await this.#http.whole({ method: "GET", path: PREFIX + path }, ANSWER_TIMEOUT_MS, options);
    return parseAnswer(`wolf GET ${path}`, answer, schema);
  }

  async post<T>(
    path: string,
    body: object,
    schema: z.ZodType<T>,
    options: CallOptions = {},
    timeoutMs: number = ANSWER_TIMEOUT_MS,
  ): Promise<T> {
    const request = { method: "POST" as const, path: PREFIX + path, ...jsonBody(body) };
    return parseAnswer(`wolf POST ${path}`, await this.#http.whole(request, timeoutMs, options), schema);
  }

  /** For the many endpoints that only say `{"success":true}`. */
  async order(path: string, body: object, options?: CallOptions, timeoutMs?: number): Promise<void> {
    await this.post(path, body, anything, options, timeoutMs);
  }

  /** @throws WolfError for another status than 200 */
  async bytes(path: string, options: CallOptions = {}): Promise<WholeAnswer> {
    const answer = await this.#http.whole({ method: "GET", path: PREFIX + path }, ANSWER_TIMEOUT_MS, options);
    if (answer.status !== 200) throw refusal(`wolf GET ${path}`, answer);
    return answer;
  }

  /** @throws WolfError for another status than 200 */
  async stream(request: StreamRequest, options: CallOptions = {}): Promise<HttpAnswer> {
    const { method, path, body, timeoutMs, silenceTimeoutMs } = request;
    const answer = await this.#http.stream(
      {
        method,
        path: PREFIX + path,
        silenceTimeoutMs,
        ...(body !== undefined && jsonBody(body)),
      },
      timeoutMs,
      options,
    );
    if (answer.status === 200) return answer;
    throw refusal(`wolf ${method} ${path}`, { ...answer, body: await beginning(answer.body) });
  }
}

/** For answers of which nothing is used. */
export const anything: z.ZodType = z.unknown();

/** Ids are strings; should one come as a number it is made one, with all its digits (see {@link parseJson}). */
export const idSchema: z.ZodType<string> = z.union([z.string(), z.number()]).transform(String);

/** A count or a size: a number, whatever its size. */
export const countSchema: z.ZodType<number> = z
  .union([z.number(), z.string().regex(/^-?\d+$/)])
  .transform(Number);

/**
 * Wolf neither decodes a query nor sees the end of a value but by the end of the line: the value goes as it is.
 *
 * @throws TurnaboutError `bad_request` for what a request line cannot hold
 */
export function rawQuery(name: string, value: string): string {
  if (!/^[!-~]+$/.test(value) || /[#&=]/.test(value)) {
    throw new TurnaboutError("bad_request", `wolf: ${name} ${JSON.stringify(value)}: Wolf cannot take it`);
  }
  return `?${name}=${value}`;
}

/** @throws WolfError if `success` is false */
export function checkSuccess(label: string, status: number, value: unknown): void {
  const { success, error } = outcomeSchema.parse(value);
  if (success === false) throw new WolfError(label, status, error ?? "");
}

const outcomeSchema = z
  .looseObject({ success: z.unknown(), error: z.string().optional() })
  .catch({ success: true });

function jsonBody(body: object): { headers: Record<string, string>; body: Buffer } {
  return { headers: { "content-type": "application/json" }, body: Buffer.from(JSON.stringify(body)) };
}

function parseAnswer<T>(label: string, answer: WholeAnswer, schema: z.ZodType<T>): T {
  if (answer.status !== 200) throw refusal(label, answer);
  let value: unknown;
  try {
    value = parseJson(answer.body.toString("utf8"));
  } catch (cause) {
    throw new TurnaboutError("target_protocol", `${label}: the answer is not JSON`, { cause });
  }
  checkSuccess(label, answer.status, value);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const where = result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
  throw new TurnaboutError("target_protocol", `${label}: unexpected answer: ${where}`);
}

function refusal(label: string, { status, body }: Pick<WholeAnswer, "status" | "body">): WolfError {
  try {
    const { error } = outcomeSchema.parse(JSON.parse(body.toString("utf8")));
    if (typeof error === "string") return new WolfError(label, status, error);
  } catch {
    // Not JSON: its text is all there is.
  }
  return new WolfError(label, status, reasonFrom(body));
}
