/**
 * A connection to NATS that is kept: the first one is tried again and again, and so is one that the client library gives up. NATS that
 * is away, slow or refuses us costs what needs it, and nothing else.
 */
import { connect, credsAuthenticator, nkeyAuthenticator } from "@nats-io/transport-node";
import type { Authenticator, ConnectionOptions, NatsConnection, TlsOptions } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import { toError } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import {
  NATS_CONNECT_MS,
  NATS_MAX_PINGS_OUT,
  NATS_PING_MS,
  NATS_RECONNECT_JITTER_MS,
  NATS_RECONNECT_MS,
  NATS_REQUEST_MS,
} from "../limits.ts";

export interface NatsOptions {
  /** `nats://HOST:PORT` or `tls://HOST:PORT`, several of one cluster. May contain `USER:PASSWORD@`. */
  servers: readonly string[];
  /** Content of a credentials file, or the seed of an nkey. Read anew for each connection. */
  credentials?: (() => string) | undefined;
  tls?: TlsOptions | undefined;
  /** Of this client, in NATS's own lists. */
  name: string;
}

/** What one connection gives. */
export interface NatsSession {
  connection: NatsConnection;
  jetstream: JetStreamClient;
  manager: JetStreamManager;
}

interface NatsEvents {
  /** Connected, or connected again. Requests of before may be lost. */
  onConnected: (session: NatsSession) => void;
  /** The same problem may be reported again and again. */
  onProblem: (error: Error) => void;
}

export class NatsClient {
  readonly #options: NatsOptions;
  readonly #events: NatsEvents;
  readonly #guard: Guard;
  #session: NatsSession | undefined;
  #isConnected = false;
  #retry: NodeJS.Timeout | undefined;
  #connecting: Promise<void> | undefined;
  #closed = false;

  constructor(options: NatsOptions, events: NatsEvents) {
    this.#options = options;
    this.#events = events;
    this.#guard = new Guard((error) => events.onProblem(error));
    this.#connectSoon(0);
  }

  /** Its connection may be cut, without us knowing. Undefined before the first one. */
  get session(): NatsSession | undefined {
    return this.#session;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#connecting;
    await this.#session?.connection.close().catch(() => undefined);
    this.#session = undefined;
    this.#isConnected = false;
  }

  #connectSoon(delayMs: number): void {
    if (this.#closed) return;
    this.#retry = setTimeout(() => {
      this.#connecting = this.#connect().catch((error: unknown) => {
        this.#guard.run(() => this.#events.onProblem(toError(error)));
        this.#connectSoon(NATS_RECONNECT_MS);
      });
    }, delayMs);
    this.#retry.unref();
  }

  async #connect(): Promise<void> {
    const connection = await connect(optionsOf(this.#options));
    try {
      const client = jetstream(connection, { timeout: NATS_REQUEST_MS });
      const manager = await client.jetstreamManager(false);
      if (this.#closed) return await connection.close();
      this.#session = { connection, jetstream: client, manager };
    } catch (error) {
      await connection.close().catch(() => undefined);
      throw error;
    }
    this.#guard.run(() => this.#follow(connection));
    this.#guard.run(async () => {
      const reason = await connection.closed(); // resolves, also after an error
      this.#isConnected = false;
      if (reason instanceof Error) this.#events.onProblem(reason);
      this.#connectSoon(NATS_RECONNECT_MS);
    });
    this.#onConnected();
  }

  /** Ends with the connection. */
  async #follow(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === "disconnect") this.#onDisconnected();
      else if (status.type === "reconnect") this.#onConnected();
      else if (status.type === "error") this.#guard.run(() => this.#events.onProblem(toError(status.error)));
    }
  }

  #onConnected(): void {
    const session = this.#session;
    if (session === undefined || this.#closed) return;
    this.#isConnected = true;
    this.#guard.run(() => this.#events.onConnected(session));
  }

  #onDisconnected(): void {
    this.#isConnected = false;
    if (!this.#closed) this.#guard.run(() => this.#events.onProblem(new Error("disconnected from NATS")));
  }
}

function optionsOf({ servers, credentials, tls, name }: NatsOptions): ConnectionOptions {
  const urls = servers.map((server) => new URL(server));
  const { username = "", password = "" } = urls[0] ?? {};
  const authenticator = credentials === undefined ? undefined : authenticatorOf(credentials());
  const needsTls = tls !== undefined || urls.some(({ protocol }) => protocol === "tls:");
  return {
    name,
    servers: urls.map(({ host }) => host),
    timeout: NATS_CONNECT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: NATS_RECONNECT_MS,
    reconnectJitter: NATS_RECONNECT_JITTER_MS,
    reconnectJitterTLS: NATS_RECONNECT_JITTER_MS,
    pingInterval: NATS_PING_MS,
    maxPingOut: NATS_MAX_PINGS_OUT,
    ...(needsTls && { tls: tls ?? {} }),
    ...(authenticator !== undefined && { authenticator }),
    ...(username !== "" && { user: decodeURIComponent(username), pass: decodeURIComponent(password) }),
  };
}

function authenticatorOf(credentials: string): Authenticator {
  const bytes = new TextEncoder().encode(credentials.trim());
  return credentials.includes("-----BEGIN") ? credsAuthenticator(bytes) : nkeyAuthenticator(bytes);
}
