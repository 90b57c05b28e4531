/**
 * HTTP over CONNECT streams. For HTTP/1.1 an undici pool for each target of a connection: each request in flight has its
 * own stream; one that a keep-alive target leaves open is reused by a later request. For HTTP/2 one connection, in one
 * stream, for all requests (`http2-target/`).
 */
import { Pool } from "undici";
import type { Dispatcher } from "undici";
import type { TargetHttp } from "../../wire/messages/hello.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { formatAuthority } from "../../wire/messages/names.ts";
import { Http2Target } from "../http2-target/target.ts";
import type { TargetDispatchOptions } from "../http2-target/target.ts";
import type { StreamCause } from "../records/request-record.ts";
import type { TargetSocket } from "../tunnels/tunnel.ts";
import { TargetClient } from "./target-client.ts";
import { MAX_RESPONSE_HEADER_BYTES, RESPONSE_TIMEOUT_MS, TARGET_KEEPALIVE_MS } from "../limits.ts";

interface Opener {
  openTunnel(destination: Destination, cause: StreamCause | undefined): TargetSocket;
}

/** What {@link Pool} and {@link Http2Target} have in common. */
interface RequestPool {
  dispatch(options: TargetDispatchOptions, handler: Dispatcher.DispatchHandler): unknown;
  close(): Promise<void>;
  destroy(reason: Error): Promise<void>;
}

export interface TargetPool {
  readonly pool: RequestPool;
  /** HTTP version of the target's responses, which RFC 9112 §6.1 asks us to remember. */
  version: "unknown" | "1.0" | "1.1" | "2";
}

export class TargetPools {
  readonly #opener: Opener;
  readonly #pools = new Map<string, TargetPool>();

  constructor(opener: Opener) {
    this.#opener = opener;
  }

  /** @param http the target's declared version; `auto` starts as unknown */
  get(destination: Destination, http: TargetHttp): TargetPool {
    const authority = formatAuthority(destination);
    const known = this.#pools.get(authority);
    if (known !== undefined) return known;
    const created =
      http === "2" ? this.#http2(destination) : createHttp1Pool(this.#opener, destination, http);
    this.#pools.set(authority, created);
    return created;
  }

  #http2(destination: Destination): TargetPool {
    const label = `${destination.runner} ${destination.target}`;
    const openTunnel = (cause: StreamCause | undefined): TargetSocket =>
      this.#opener.openTunnel(destination, cause);
    return { version: "2", pool: new Http2Target({ label, openTunnel }) };
  }

  /** Idle streams, open for the next request. */
  idle(destination: Destination): number {
    const pool = this.#pools.get(formatAuthority(destination))?.pool;
    return pool instanceof Pool ? pool.stats.free : 0;
  }

  /** Closes idle streams: the agent counts them too. Requests in flight finish. */
  dropIdle(destination: Destination): void {
    const authority = formatAuthority(destination);
    const known = this.#pools.get(authority);
    if (known === undefined || this.idle(destination) === 0 || known.version === "2") return;
    const http = known.version === "unknown" ? "auto" : known.version;
    this.#pools.set(authority, createHttp1Pool(this.#opener, destination, http));
    void known.pool.close().catch(() => {});
  }

  /** For a runner that is withdrawn, or whose targets have changed. Requests in flight finish. */
  forget(runner: string): void {
    for (const [authority, { pool }] of this.#pools) {
      if (!authority.endsWith(`.${runner}`)) continue;
      this.#pools.delete(authority);
      void pool.close().catch(() => {});
    }
  }

  /** Idle streams close, others after their request. */
  drain(): void {
    for (const { pool } of this.#pools.values()) void pool.close().catch(() => {});
    this.#pools.clear();
  }

  destroy(reason: Error): void {
    for (const { pool } of this.#pools.values()) void pool.destroy(reason).catch(() => {});
    this.#pools.clear();
  }
}

export interface Http1PoolOptions {
  /** Connections to the target at the same time. Default: as many as the agent's connection has streams. */
  connections?: number;
  /** How long an idle one is kept. Default {@link TARGET_KEEPALIVE_MS}. */
  keepAliveMs?: number;
}

export function createHttp1Pool(
  opener: Opener,
  destination: Destination,
  http: Exclude<TargetHttp, "2">,
  { connections, keepAliveMs = TARGET_KEEPALIVE_MS }: Http1PoolOptions = {},
): TargetPool {
  const created: TargetPool = {
    version: http === "auto" ? "unknown" : http,
    pool: new Pool(`http://${formatAuthority(destination)}`, {
      factory: (origin, options) => {
        const open = (cause: StreamCause | undefined): TargetSocket => {
          const socket = opener.openTunnel(destination, cause);
          const note = (bytes: Buffer): void => noteVersion(created, bytes);
          socket.onFirstBytes = note;
          return socket;
        };
        return new TargetClient(origin, options, open);
      },
      connections: connections ?? null,
      pipelining: 1,
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: keepAliveMs,
      headersTimeout: RESPONSE_TIMEOUT_MS,
      bodyTimeout: 0, // event streams and downloads may pause without limit; a lost tunnel ends them
      maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
    }),
  };
  return created;
}

function noteVersion(target: TargetPool, bytes: Buffer): void {
  if (target.version !== "unknown") return;
  const start = bytes.toString("latin1", 0, 8);
  if (start === "HTTP/1.1") target.version = "1.1";
  else if (start === "HTTP/1.0") target.version = "1.0";
}
