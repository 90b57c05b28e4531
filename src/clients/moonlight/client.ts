/** Moonlight Web: hosts, pairing, and the signalling of streams. */
import { z } from "zod";
import type { Dial } from "../../wire/streams/dial.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { Call } from "../http/call.ts";
import type { CallOptions } from "../http/call.ts";
import type { HttpRequest } from "../http/exchange.ts";
import { HttpService } from "../http/service.ts";
import type { WholeResponse } from "../http/service.ts";
import { parseJsonValues } from "../http/json-values.ts";
import { parseJson } from "../http/lossless-json.ts";
import { openMessageSocket } from "../http/message-socket.ts";
import { overTunnel } from "../dial/open-stream.ts";
import type { OpenStream } from "../dial/open-stream.ts";
import { beginning, reasonFrom } from "../http/service-error.ts";
import { idSchema, listOf, nullable, optional, variantSchema } from "../http/tolerant.ts";
import { MoonlightError } from "./errors.ts";
import { HostStream } from "./host-stream.ts";
import type { HostStreamInit } from "./host-stream.ts";
import { moonlightIdSchema } from "./ids.ts";
import type { MoonlightId } from "./ids.ts";
import {
  RESPONSE_TIMEOUT_MS,
  MAX_RESPONSE_BYTES,
  MAX_CALLS,
  MAX_MESSAGE_BYTES,
  MAX_PAIRINGS,
  MAX_WAITING_CALLS,
  PAIR_SILENCE_TIMEOUT_MS,
} from "./limits.ts";
import { pairSteps } from "./pairing.ts";
import type { PairStep } from "./pairing.ts";

export interface MoonlightClientOptions {
  /** The one secret of this Moonlight Web (`MOONLIGHT_CREDENTIALS`). Never the credentials of a user. */
  credentials: string;
}

export interface MoonlightHost {
  host_id: MoonlightId;
  name: string;
  /** `Paired` or `NotPaired`. */
  paired: string;
  /** `Free` or `Busy`; null while the host is not reached. */
  server_state?: string | null | undefined;
  [field: string]: unknown;
}

export interface MoonlightApp {
  app_id: MoonlightId;
  title: string;
  [field: string]: unknown;
}

export interface MoonlightSession {
  session_id: string;
  client_unique_id?: string | null | undefined;
  mode?: string | undefined;
  [field: string]: unknown;
}

export interface MoonlightStatus {
  total_sessions?: number | undefined;
  [field: string]: unknown;
}

/** {@link MoonlightError} is the server's own response, TurnaboutError any failure on the way to it. */
export interface MoonlightClient {
  /** Whether the server takes the credentials. */
  authenticate(options?: CallOptions): Promise<boolean>;
  /** Newer versions send the list as they remember it, and then each host as it responds: the last is given. */
  hosts(options?: CallOptions): Promise<MoonlightHost[]>;
  /** @param forceRefresh ask the host again. Default false. */
  apps(hostId: MoonlightId, options?: CallOptions & { forceRefresh?: boolean }): Promise<MoonlightApp[]>;
  /** Starts with the first `next()`. Breaking off gives the pairing up. */
  pair(hostId: MoonlightId, options?: CallOptions): AsyncGenerator<PairStep, void, undefined>;
  /** Ends every stream of a host. */
  cancel(hostId: MoonlightId, options?: CallOptions): Promise<void>;
  /** The fork's. */
  sessions(options?: CallOptions): Promise<MoonlightSession[]>;
  /** The fork's. */
  status(options?: CallOptions): Promise<MoonlightStatus>;
  /**
   * Opens the signalling of a stream; resolves when the credentials have been sent. No ping, pong, binary or
   * fragmented message ever goes out, because the server would end the stream.
   */
  openStream(init: HostStreamInit, options?: CallOptions): Promise<HostStream>;
}

/** @param open gives a connection to the server, a new one for each call: {@link moonlightOverTunnel} */
export function createMoonlightClient(open: OpenStream, options: MoonlightClientOptions): MoonlightClient {
  return new Moonlight(open, options.credentials);
}

/** Moonlight Web as the runner's target `moonlight`. */
export function moonlightOverTunnel(dial: Dial, runner: string): OpenStream {
  return overTunnel(dial, runner, "moonlight");
}

const hostSchema: z.ZodType<MoonlightHost> = z.looseObject({
  host_id: moonlightIdSchema,
  name: z.string(),
  paired: variantSchema,
  server_state: nullable(variantSchema),
});

const hostsSchema = z.looseObject({ hosts: listOf(hostSchema) });

const appSchema: z.ZodType<MoonlightApp> = z.looseObject({ app_id: moonlightIdSchema, title: z.string() });

const sessionSchema: z.ZodType<MoonlightSession> = z.looseObject({
  session_id: idSchema,
  client_unique_id: nullable(idSchema),
  mode: optional(variantSchema),
});

const statusSchema: z.ZodType<MoonlightStatus> = z.looseObject({ total_sessions: optional(z.number()) });

class Moonlight implements MoonlightClient {
  readonly #http: HttpService;
  readonly #credentials: string;

  constructor(open: OpenStream, credentials: string) {
    this.#credentials = credentials;
    this.#http = new HttpService(open, {
      name: "moonlight",
      calls: { open: MAX_CALLS, waiting: MAX_WAITING_CALLS },
      streams: { open: MAX_PAIRINGS, waiting: 0 },
      maxResponseBytes: MAX_RESPONSE_BYTES,
    });
  }

  async authenticate(options: CallOptions = {}): Promise<boolean> {
    const { status, body } = await this.#ask(this.#request("GET", "/api/authenticate"), options);
    if (status === 401) return false;
    check("GET /api/authenticate", status, body);
    return true;
  }

  async hosts(options?: CallOptions): Promise<MoonlightHost[]> {
    const path = "/api/hosts";
    const body = await this.#body(path, options);
    return unexpectedIfThrown(path, () => {
      const [list, ...updates] = parseJsonValues(body, `moonlight GET ${path}`);
      const { hosts } = hostsSchema.parse(list);
      const byId = new Map(hosts.map((host) => [host.host_id, host]));
      for (const update of updates) {
        const { data: host } = hostSchema.safeParse(update);
        if (host !== undefined) byId.set(host.host_id, host);
      }
      return [...byId.values()];
    });
  }

  async apps(
    hostId: MoonlightId,
    { forceRefresh = false, ...options }: CallOptions & { forceRefresh?: boolean } = {},
  ): Promise<MoonlightApp[]> {
    const path = `/api/apps?host_id=${encodeURIComponent(hostId)}&force_refresh=${forceRefresh}`;
    return (await this.#get(path, z.looseObject({ apps: listOf(appSchema) }), options)).apps;
  }

  async *pair(hostId: MoonlightId, options: CallOptions = {}): AsyncGenerator<PairStep, void, undefined> {
    const request = {
      ...this.#request("POST", "/api/pair", { host_id: hostId }),
      silenceTimeoutMs: PAIR_SILENCE_TIMEOUT_MS,
    };
    const response = await this.#http.stream(request, RESPONSE_TIMEOUT_MS, options);
    try {
      if (response.status !== 304) check("POST /api/pair", response.status, await refusalBody(response));
      yield* pairSteps(response);
    } finally {
      await response.close();
    }
  }

  async cancel(hostId: MoonlightId, options: CallOptions = {}): Promise<void> {
    const { status, body } = await this.#ask(
      this.#request("POST", "/api/host/cancel", { host_id: hostId }),
      options,
    );
    check("POST /api/host/cancel", status, body);
  }

  async sessions(options?: CallOptions): Promise<MoonlightSession[]> {
    const schema = z.looseObject({ sessions: listOf(sessionSchema) });
    return (await this.#get("/api/sessions", schema, options)).sessions;
  }

  status(options?: CallOptions): Promise<MoonlightStatus> {
    return this.#get("/api/admin/status", statusSchema, options);
  }

  async openStream(init: HostStreamInit, options: CallOptions = {}): Promise<HostStream> {
    const path = "/api/host/stream";
    const label = `moonlight WS ${path}`;
    using call = new Call(label, options.timeoutMs ?? RESPONSE_TIMEOUT_MS, options.signal);
    const socket = await openMessageSocket(
      await this.#http.connect(call),
      {
        path,
        autoPong: false,
        maxMessageBytes: MAX_MESSAGE_BYTES,
        refused: (status, body) => new MoonlightError(label, status, reasonFrom(body)),
      },
      call,
    );
    try {
      await socket.send(JSON.stringify({ AuthenticateAndInit: { ...init, credentials: this.#credentials } }));
    } catch (error) {
      socket.terminate();
      throw error;
    }
    return new HostStream(socket);
  }

  async #get<T>(path: string, schema: z.ZodType<T>, options: CallOptions = {}): Promise<T> {
    const body = await this.#body(path, options);
    return unexpectedIfThrown(path, () => schema.parse(parseJson(body.toString("utf8"))));
  }

  async #body(path: string, options: CallOptions = {}): Promise<Buffer> {
    const { status, body } = await this.#ask(this.#request("GET", path), options);
    check(`GET ${path}`, status, body);
    return body;
  }

  #ask(request: HttpRequest, options: CallOptions): Promise<WholeResponse> {
    return this.#http.whole(request, RESPONSE_TIMEOUT_MS, options);
  }

  #request(method: "GET" | "POST", path: string, body?: object): HttpRequest {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#credentials}` };
    if (body === undefined) return { method, path, headers };
    headers["content-type"] = "application/json";
    return { method, path, headers, body: Buffer.from(JSON.stringify(body)) };
  }
}

function check(what: string, status: number, body: Buffer): void {
  if (status !== 200) throw new MoonlightError(`moonlight ${what}`, status, reasonFrom(body));
}

function unexpectedIfThrown<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new TurnaboutError("target_protocol", `moonlight GET ${path}: unexpected response`, { cause });
  }
}

/** Nothing of a 200: its body is still to be read. */
async function refusalBody(response: { status: number; body: AsyncIterable<Buffer> }): Promise<Buffer> {
  return response.status === 200 ? Buffer.alloc(0) : beginning(response.body);
}
