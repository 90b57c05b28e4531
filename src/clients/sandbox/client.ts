/** Client of the HTTP server in a sandbox (port 9876): screenshots, clipboard, input, programs, uploads. */
import { z } from "zod";
import type { Dial } from "../../wire/streams/dial.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { Call } from "../http/call.ts";
import type { CallOptions } from "../http/call.ts";
import type { HttpRequest } from "../http/exchange.ts";
import { HttpService } from "../http/service.ts";
import type { WholeResponse } from "../http/service.ts";
import { parseJson } from "../http/lossless-json.ts";
import { openMessageSocket } from "../http/message-socket.ts";
import type { MessageSocket } from "../http/message-socket.ts";
import { overTunnel } from "../dial/open-stream.ts";
import type { OpenStream } from "../dial/open-stream.ts";
import { reasonFrom } from "../http/service-error.ts";
import { countSchema, optional, variantSchema } from "../http/tolerant.ts";
import { SandboxError } from "./errors.ts";
import {
  RESPONSE_TIMEOUT_MS,
  EXEC_MARGIN_MS,
  EXEC_TIMEOUT_MS,
  HANDSHAKE_TIMEOUT_MS,
  MAX_RESPONSE_BYTES,
  MAX_CALLS,
  MAX_MESSAGE_BYTES,
  MAX_WAITING_CALLS,
  SHORT_TIMEOUT_MS,
  UPLOAD_TIMEOUT_MS,
} from "./limits.ts";
import { multipartFile } from "./multipart.ts";

export interface ScreenshotOptions extends CallOptions {
  /** Default: the server's, JPEG. The oldest servers only make PNG; look at the response's `contentType`. */
  format?: "jpeg" | "png" | undefined;
  /** JPEG quality, 1 to 100. Default: the server's, 70. */
  quality?: number | undefined;
  includeCursor?: boolean | undefined;
  /** ETag of the screenshot that the caller has. */
  etag?: string | undefined;
}

export type Screenshot =
  | { kind: "image"; bytes: Buffer; contentType: string; etag: string | undefined }
  | { kind: "not-modified" };

export type Clipboard =
  | ClipboardContent
  | { kind: "empty" }
  /** Of a kind that only a newer server knows. */
  | { kind: "unknown"; type: string; data: unknown };

export type ClipboardContent = { kind: "text"; text: string } | { kind: "image"; png: Buffer };

export interface ExecOptions extends CallOptions {
  /** Do not wait for it to exit. */
  background?: boolean | undefined;
  /** Maximum run time, in seconds. */
  timeoutS?: number | undefined;
  env?: Readonly<Record<string, string>> | undefined;
}

export interface ExecResult {
  success: boolean;
  output: string;
  error: string;
  exitCode: number;
  /** Process id of a background command. */
  pid: number | undefined;
}

export interface UploadOptions extends CallOptions {
  /** Bytes, if known: the server can then refuse a large file early. */
  size?: number | undefined;
  /** Default false. */
  openFileManager?: boolean | undefined;
}

export interface UploadedFile {
  path: string;
  size: number;
  filename: string;
}

export interface WebSocketOptions extends CallOptions {
  protocols?: readonly string[] | undefined;
}

/**
 * Errors: {@link SandboxError} is an error response of the server (500 before the desktop is up, see `isDisplayMissing`);
 * a TurnaboutError means that the request or the response was lost on the way.
 */
export interface SandboxClient {
  screenshot(options?: ScreenshotOptions): Promise<Screenshot>;
  clipboard(options?: CallOptions): Promise<Clipboard>;
  /** Sets both selections. */
  setClipboard(content: ClipboardContent, options?: CallOptions): Promise<void>;
  /** Stores a file (at most 500 MB) in the desktop's folder `incoming`, under a free name. */
  upload(
    filename: string,
    file: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options?: UploadOptions,
  ): Promise<UploadedFile>;
  /** @throws SandboxError 403 for a command that is not on the server's list */
  exec(command: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Resolves if the server responds, with or without a desktop. */
  health(options?: CallOptions): Promise<void>;
  /**
   * `/ws/input`, `/ws/stream`. Pongs are sent while messages are read: the server closes the WebSocket of a reader
   * that stops for 30 s.
   *
   * @param path with its query
   */
  openWebSocket(path: string, options?: WebSocketOptions): Promise<MessageSocket>;
}

/** @param open gives a connection to the server, a new one for each call: {@link sandboxOverTunnel} */
export function createSandboxClient(open: OpenStream): SandboxClient {
  return new Sandbox(open);
}

/** The server as the runner's target `screenshot`. */
export function sandboxOverTunnel(dial: Dial, runner: string): OpenStream {
  return overTunnel(dial, runner, "screenshot");
}

class Sandbox implements SandboxClient {
  readonly #http: HttpService;

  constructor(open: OpenStream) {
    this.#http = new HttpService(open, {
      name: "sandbox",
      calls: { open: MAX_CALLS, waiting: MAX_WAITING_CALLS },
      streams: { open: 0, waiting: 0 },
      maxResponseBytes: MAX_RESPONSE_BYTES,
    });
  }

  async screenshot(options: ScreenshotOptions = {}): Promise<Screenshot> {
    const { format, quality, includeCursor, etag } = options;
    const query = new URLSearchParams();
    if (format !== undefined) query.set("format", format);
    if (quality !== undefined) query.set("quality", String(quality));
    if (includeCursor !== undefined) query.set("include_cursor", String(includeCursor));
    const request: HttpRequest = {
      method: "GET",
      path: query.size === 0 ? "/screenshot" : `/screenshot?${query.toString()}`,
      ...(etag !== undefined && { headers: { "if-none-match": etag } }),
    };
    const { status, headers, body } = await this.#http.whole(request, RESPONSE_TIMEOUT_MS, options);
    if (status === 304) return { kind: "not-modified" };
    check("GET /screenshot", status, body);
    const contentType = headers["content-type"] ?? "";
    if (!contentType.startsWith("image/")) {
      throw new TurnaboutError("target_protocol", "sandbox GET /screenshot: the response is not a picture");
    }
    return { kind: "image", bytes: body, contentType, etag: headers.etag };
  }

  async clipboard(options: CallOptions = {}): Promise<Clipboard> {
    const request: HttpRequest = { method: "GET", path: "/clipboard" };
    const { status, body } = await this.#http.whole(request, RESPONSE_TIMEOUT_MS, options);
    check("GET /clipboard", status, body);
    // An older server has no JSON for an empty clipboard; a newer one has an empty text.
    if (body.length === 0) return { kind: "empty" };
    const { type, data } = parse("GET /clipboard", body, clipboardSchema);
    if (type === "text" && typeof data === "string") {
      return data === "" ? { kind: "empty" } : { kind: "text", text: data };
    }
    if (type === "image" && typeof data === "string") {
      return { kind: "image", png: Buffer.from(data, "base64") };
    }
    return { kind: "unknown", type, data };
  }

  async setClipboard(content: ClipboardContent, options: CallOptions = {}): Promise<void> {
    const body =
      content.kind === "text"
        ? { type: "text", data: content.text }
        : { type: "image", data: content.png.toString("base64") };
    await this.#post("/clipboard", body, RESPONSE_TIMEOUT_MS, options);
  }

  async upload(
    filename: string,
    file: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options: UploadOptions = {},
  ): Promise<UploadedFile> {
    const { contentType, length, body } = multipartFile("file", filename, file, options.size);
    const request: HttpRequest = {
      method: "POST",
      path: `/upload?open_file_manager=${options.openFileManager ?? false}`,
      headers: {
        "content-type": contentType,
        ...(length !== undefined && { "content-length": String(length) }),
      },
      body,
    };
    const response = await this.#http.whole(request, UPLOAD_TIMEOUT_MS, options);
    check("POST /upload", response.status, response.body);
    return parse("POST /upload", response.body, uploadedSchema);
  }

  async exec(command: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    const { background, timeoutS, env } = options;
    const maxMs = timeoutS === undefined ? EXEC_TIMEOUT_MS : timeoutS * 1_000 + EXEC_MARGIN_MS;
    const body = { command, background, timeout: timeoutS, env };
    const response = await this.#post("/exec", body, maxMs, options);
    const { success, output, error, exit_code, pid } = parse("POST /exec", response.body, execSchema);
    return { success, output: output ?? "", error: error ?? "", exitCode: exit_code ?? 0, pid };
  }

  async health(options: CallOptions = {}): Promise<void> {
    const { status, body } = await this.#http.whole(
      { method: "GET", path: "/health" },
      SHORT_TIMEOUT_MS,
      options,
    );
    check("GET /health", status, body);
  }

  async openWebSocket(path: string, options: WebSocketOptions = {}): Promise<MessageSocket> {
    const { protocols, signal, timeoutMs = HANDSHAKE_TIMEOUT_MS } = options;
    const label = `sandbox WS ${path}`;
    using call = new Call(label, timeoutMs, signal);
    const socket = {
      path,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      refused: (status: number, body: Buffer) => new SandboxError(label, status, reasonFrom(body)),
      ...(protocols !== undefined && { protocols }),
    };
    return await openMessageSocket(await this.#http.connect(call), socket, call);
  }

  async #post(path: string, body: object, timeoutMs: number, options: CallOptions): Promise<WholeResponse> {
    const request: HttpRequest = {
      method: "POST",
      path,
      headers: { "content-type": "application/json" },
      body: Buffer.from(JSON.stringify(body)),
    };
    const response = await this.#http.whole(request, timeoutMs, options);
    check(`POST ${path}`, response.status, response.body);
    return response;
  }
}

const clipboardSchema = z.looseObject({ type: variantSchema, data: z.unknown() });

const uploadedSchema = z.looseObject({ path: z.string(), size: countSchema, filename: z.string() });

const textSchema = z.string().nullish();

const execSchema = z.looseObject({
  success: z.boolean(),
  output: textSchema,
  error: textSchema,
  exit_code: z.number().nullish(),
  pid: optional(countSchema),
});

function check(what: string, status: number, body: Buffer): void {
  if (status < 200 || status > 299) throw new SandboxError(`sandbox ${what}`, status, reasonFrom(body));
}

function parse<T>(what: string, body: Buffer, schema: z.ZodType<T>): T {
  try {
    return schema.parse(parseJson(body.toString("utf8")));
  } catch (cause) {
    throw new TurnaboutError("target_protocol", `sandbox ${what}: unexpected response`, { cause });
  }
}
