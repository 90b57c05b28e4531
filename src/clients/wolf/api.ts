/** Common to all of Wolf's endpoints: JSON, `success`, and limits that suit Wolf. */
import { z } from "zod";
import { joinReasons, TurnaboutError } from "../../wire/errors.ts";
import type { CallOptions } from "../http/call.ts";
import type { HttpResponse } from "../http/exchange.ts";
import { HttpService } from "../http/service.ts";
import type { WholeResponse } from "../http/service.ts";
import { parseJson } from "../http/lossless-json.ts";
import type { OpenStream } from "../dial/open-stream.ts";
import { beginning, reasonFrom } from "../http/service-error.ts";
import { optional } from "../http/tolerant.ts";
import { WolfError } from "./errors.ts";
import {
  RESPONSE_TIMEOUT_MS,
  MAX_RESPONSE_BYTES,
  MAX_CALLS,
  MAX_STREAMS,
  MAX_WAITING_CALLS,
} from "./limits.ts";

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
      maxResponseBytes: MAX_RESPONSE_BYTES,
    });
  }

  async get<T>(path: string, schema: z.ZodType<T>, options: CallOptions = {}): Promise<T> {
    const response = await this.#http.whole(
      { method: "GET", path: PREFIX + path },
      RESPONSE_TIMEOUT_MS,
      options,
    );
    return parseResponse(`wolf GET ${path}`, response, schema);
  }

  async post<T>(
    path: string,
    body: object,
    schema: z.ZodType<T>,
    options: CallOptions = {},
    timeoutMs: number = RESPONSE_TIMEOUT_MS,
  ): Promise<T> {
    const request = { method: "POST" as const, path: PREFIX + path, ...jsonBody(body) };
    return parseResponse(`wolf POST ${path}`, await this.#http.whole(request, timeoutMs, options), schema);
  }

  /** For the many endpoints that return only `{"success":true}`. */
  async order(path: string, body: object, options?: CallOptions, timeoutMs?: number): Promise<void> {
    await this.post(path, body, anything, options, timeoutMs);
  }

  /** @throws WolfError for another status than 200 */
  async bytes(path: string, options: CallOptions = {}): Promise<WholeResponse> {
    const response = await this.#http.whole(
      { method: "GET", path: PREFIX + path },
      RESPONSE_TIMEOUT_MS,
      options,
    );
    if (response.status !== 200) throw refusal(`wolf GET ${path}`, response);
    return response;
  }

  /** @throws WolfError for another status than 200 */
  async stream(request: StreamRequest, options: CallOptions = {}): Promise<HttpResponse> {
    const { method, path, body, timeoutMs, silenceTimeoutMs } = request;
    const response = await this.#http.stream(
      {
        method,
        path: PREFIX + path,
        silenceTimeoutMs,
        ...(body !== undefined && jsonBody(body)),
      },
      timeoutMs,
      options,
    );
    if (response.status === 200) return response;
    throw refusal(`wolf ${method} ${path}`, { ...response, body: await beginning(response.body) });
  }
}

/** For responses whose content is not used. */
export const anything: z.ZodType = z.unknown();

/**
 * Wolf does not decode a query, and a value ends at the end of the line: so the value is sent unchanged.
 *
 * @throws TurnaboutError `bad_request` for characters that a request line cannot contain
 */
export function rawQuery(name: string, value: string): string {
  if (!/^[!-~]+$/.test(value) || /[#&=]/.test(value)) {
    throw new TurnaboutError(
      "bad_request",
      `wolf: ${name} ${JSON.stringify(value)}: Wolf does not accept this value`,
    );
  }
  return `?${name}=${value}`;
}

/** @throws WolfError if `success` is false */
export function checkSuccess(label: string, status: number, value: unknown): void {
  const { success, error } = outcomeSchema.parse(value);
  if (success === false) throw new WolfError(label, status, error ?? "");
}

const outcomeSchema = z
  .looseObject({ success: z.unknown(), error: optional(z.string()) })
  .catch({ success: true, error: undefined });

function jsonBody(body: object): { headers: Record<string, string>; body: Buffer } {
  return { headers: { "content-type": "application/json" }, body: Buffer.from(JSON.stringify(body)) };
}

function parseResponse<T>(label: string, response: WholeResponse, schema: z.ZodType<T>): T {
  if (response.status !== 200) throw refusal(label, response);
  let value: unknown;
  try {
    value = parseJson(response.body.toString("utf8"));
  } catch (cause) {
    throw new TurnaboutError("target_protocol", `${label}: the response is not JSON`, { cause });
  }
  checkSuccess(label, response.status, value);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const where = joinReasons(result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`));
  throw new TurnaboutError("target_protocol", `${label}: unexpected response: ${where}`);
}

function refusal(label: string, { status, body }: Pick<WholeResponse, "status" | "body">): WolfError {
  try {
    const { error } = outcomeSchema.parse(JSON.parse(body.toString("utf8")));
    if (typeof error === "string") return new WolfError(label, status, error);
  } catch {
    // Not JSON: the text is the reason.
  }
  return new WolfError(label, status, reasonFrom(body));
}
