/** A typed client of the control plane's own API, from any process. Its types come from the OpenAPI document. */
import { Agent, request } from "undici";
import type { Dispatcher } from "undici";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { joinReasons, toError, TurnaboutError, withoutFullStop } from "../../wire/errors.ts";
import { codeFromStatus } from "../../wire/failure-codes.ts";
import { refusalHint } from "../dial/refusal.ts";
import { unreachable } from "../dial/unreachable.ts";
import {
  API_SILENT_MS,
  API_TIMEOUT_MS,
  EVENT_SILENCE_MS,
  MAX_API_RESPONSE_BYTES,
  MAX_ERROR_BYTES,
} from "./limits.ts";
import { serverEvents } from "./server-events.ts";
import type { ServerEvent } from "./server-events.ts";
import type { Input, Method, Output, PathOf } from "./operations.ts";

export interface ApiClientOptions {
  /** URL of the control plane, with its base path if it has one. */
  server: string;
  token: string;
  /** PEM of a private CA, instead of the system's. */
  ca?: string | undefined;
  /** A GET has had no response for {@link API_SILENT_MS}; it is still waited for. */
  onSilent?: (() => void) | undefined;
}

export interface ApiCallOptions {
  signal?: AbortSignal | undefined;
}

export interface EventsOptions extends ApiCallOptions {
  /** The control plane has accepted the request: events follow. */
  onOpen?: (() => void) | undefined;
}

interface RequestParts {
  path?: Readonly<Record<string, string>>;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  body?: unknown;
}

export class ApiClient implements AsyncDisposable {
  readonly #base: string;
  readonly #token: string;
  readonly #agent: Agent;
  /** For responses without end. */
  readonly #streams: Agent;
  readonly #onSilent: (() => void) | undefined;

  constructor({ server, token, ca, onSilent }: ApiClientOptions) {
    this.#onSilent = onSilent;
    this.#base = server.replace(/\/+$/, "");
    this.#token = token;
    const shared = { connect: { ...(ca !== undefined && { ca }) }, headersTimeout: API_TIMEOUT_MS };
    this.#agent = new Agent({ ...shared, maxResponseSize: MAX_API_RESPONSE_BYTES });
    this.#streams = new Agent(shared);
  }

  /**
   * One call. `path` is the document's, with its parameters in braces.
   *
   * @throws TurnaboutError the control plane's refusal, or `carrier_failed` if it cannot be reached
   */
  async call<M extends Method, P extends PathOf<M>>(
    method: M,
    path: P,
    input: Input<M, P>,
    { signal }: ApiCallOptions = {},
  ): Promise<Output<M, P>> {
    const label = labelOf(method, path, input);
    const response = await this.#send(method, path, input, signal);
    const text = await readText(response, label);
    if (text === "") return undefined as Output<M, P>;
    try {
      return JSON.parse(text) as Output<M, P>;
    } catch (cause) {
      throw new TurnaboutError("carrier_failed", `${label}: the response is not JSON`, {
        cause,
        hint: "is there a control plane at this address? Check --server",
      });
    }
  }

  /** Body of a resource that is text. */
  async text<P extends PathOf<"get">>(path: P, input: Input<"get", P>): Promise<string> {
    return readText(await this.#send("get", path, input, undefined), labelOf("get", path, input));
  }

  /** Server-sent events of a path, until the control plane ends them or the signal is aborted. */
  async *events<P extends PathOf<"get">>(
    path: P,
    input: Input<"get", P>,
    { signal, onOpen }: EventsOptions = {},
  ): AsyncGenerator<ServerEvent, void, undefined> {
    const { body } = await this.#send("get", path, input, signal, {
      dispatcher: this.#streams,
      bodyTimeout: EVENT_SILENCE_MS,
    });
    onOpen?.();
    try {
      yield* serverEvents(body, labelOf("get", path, input));
    } catch (error) {
      if (signal?.aborted === true) return;
      throw this.#failure(error, labelOf("get", path, input));
    }
  }

  #failure(error: unknown, label: string): TurnaboutError {
    if (error instanceof TurnaboutError) return error;
    if (toError(error).name === "AbortError")
      return new TurnaboutError("aborted", `${label}: aborted`, { cause: error });
    return unreachable(error, label, this.#base);
  }

  /** Calls in flight are aborted. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#agent.destroy(), this.#streams.destroy()]);
  }

  async #send(
    method: Method,
    path: string,
    { path: parameters = {}, query = {}, body }: RequestParts,
    signal: AbortSignal | undefined,
    transport: { dispatcher?: Agent; bodyTimeout?: number } = {},
  ): Promise<Dispatcher.ResponseData> {
    const filled = fill(path, parameters);
    const label = `${method.toUpperCase()} ${filled}`;
    const pairs = Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)]],
    );
    const search = pairs.length === 0 ? "" : `?${new URLSearchParams(pairs).toString()}`;
    let response: Dispatcher.ResponseData;
    const silent = setTimeout(() => {
      if (method === "get") this.#onSilent?.();
    }, API_SILENT_MS);
    try {
      response = await request(`${this.#base}${filled}${search}`, {
        method: method.toUpperCase(),
        headers: {
          authorization: `Bearer ${this.#token}`,
          accept: "application/json, text/event-stream, text/plain",
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        bodyTimeout: API_TIMEOUT_MS,
        dispatcher: this.#agent,
        ...transport,
        ...(signal !== undefined && { signal }),
      });
    } catch (error) {
      throw this.#failure(error, label);
    } finally {
      clearTimeout(silent);
    }
    response.body.on("error", () => {}); // permanent: a response may be left unread
    if (response.statusCode < 300) return response;
    throw await refusalOf(response, label);
  }
}

function labelOf(method: Method, path: string, { path: parameters }: RequestParts): string {
  return `${method.toUpperCase()} ${fill(path, parameters)}`;
}

/** A path of the document, with its parameters. */
function fill(path: string, parameters: RequestParts["path"] = {}): string {
  return path.replace(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(parameters[name] ?? ""));
}

async function readText({ body }: Dispatcher.ResponseData, label: string): Promise<string> {
  try {
    return await body.text();
  } catch (cause) {
    throw new TurnaboutError("carrier_failed", `${label}: the response was cut: ${toError(cause).message}`, {
      cause,
    });
  }
}

async function refusalOf(response: Dispatcher.ResponseData, label: string): Promise<TurnaboutError> {
  const { statusCode } = response;
  const text = await boundedText(response);
  const { code, message, requestId, details = [] } = parseError(text);
  const known = code !== undefined && Object.hasOwn(ERROR_TABLE, code) ? (code as ErrorCode) : undefined;
  const reason = message ?? `the response is ${statusCode}`;
  const request = requestId === undefined ? "" : ` (request ${requestId})`;
  const whole = joinReasons([reason, ...details]);
  const sentence = request === "" ? whole : withoutFullStop(whole);
  const hint = code === undefined ? NO_CONTROL_PLANE : known === undefined ? undefined : refusalHint(known);
  // An extension has codes of its own.
  const shared = known ?? (statusCode === 404 ? "not_found" : codeFromStatus(statusCode));
  return new TurnaboutError(shared, `${label}: ${sentence}${request}`, {
    ...(details.length > 0 && { details }),
    ...(hint !== undefined && { hint }),
  });
}

const NO_CONTROL_PLANE = "is there a control plane at this address? Check --server and its path";

interface ErrorBody {
  code?: string;
  message?: string;
  requestId?: string;
  details?: string[];
}

/** Of a front or another server the body may be anything. */
function parseError(text: string): ErrorBody {
  try {
    const { error } = JSON.parse(text) as { error?: ErrorBody };
    return typeof error?.code === "string" ? error : {};
  } catch {
    return {};
  }
}

async function boundedText({ body }: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_ERROR_BYTES) break;
      chunks.push(chunk);
    }
  } catch {
    // the status alone says enough
  }
  return Buffer.concat(chunks).toString("utf8");
}
