/**
 * What leads to one other node: its connections, dialled again after a loss, and the runners that are used through them. The runners
 * are those of the directory; they exist in the registry while a connection is open.
 */
import type { Logger } from "../../wire/log.ts";
import { ReportedProblems } from "../../wire/reported-problems.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { RunnerInfo } from "../../wire/messages/hello.ts";
import type { ClusterHost, Http2Tunnel, JoinedNode, RemoteAgent } from "../../control/cluster/cluster.ts";
import {
  CONNECTION_MAX_AGE_MS,
  CONNECTIONS_PER_PEER,
  RECONNECT_MAX_MS,
  RECONNECT_MIN_MS,
  RUNNERS_PER_PEER,
} from "./limits.ts";
import { PeerTunnel } from "./peer-tunnel.ts";

export interface PeerLinkParts {
  node: { id: string; url: string };
  log: Logger;
  join: ClusterHost["join"];
  /** Opens one connection. */
  connect: (signal: AbortSignal) => Promise<Http2Tunnel>;
}

interface RemoteRunner {
  info: RunnerInfo;
  agent: RemoteAgent;
}

export class PeerLink {
  readonly #parts: PeerLinkParts;
  readonly #runners = new Map<string, RemoteRunner>();
  readonly #closing = new AbortController();
  readonly #problems = new ReportedProblems();
  #tunnel: PeerTunnel | undefined;
  #joined: JoinedNode | undefined;
  #isConnecting = false;
  #failures = 0;
  #retryTimer: NodeJS.Timeout | undefined;
  readonly #ageTimers = new Set<NodeJS.Timeout>();

  constructor(parts: PeerLinkParts) {
    this.#parts = parts;
    this.#connect();
  }

  get id(): string {
    return this.#parts.node.id;
  }

  get url(): string {
    return this.#parts.node.url;
  }

  get status(): {
    isConnected: boolean;
    runners: number;
    connections: number;
    streams: number;
    rttMs: number | undefined;
  } {
    const tunnel = this.#tunnel;
    return {
      isConnected: tunnel?.isOpen === true,
      runners: this.#runners.size,
      connections: tunnel?.open.length ?? 0,
      streams: tunnel?.streams ?? 0,
      rttMs: tunnel?.rttMs,
    };
  }

  /** Ids of the runners that are used through it. */
  get runners(): Iterable<string> {
    return this.#runners.keys();
  }

  /** The node has this runner, as the directory says. */
  set(info: RunnerInfo, agent: RemoteAgent): void {
    const known = this.#runners.get(info.id);
    if (known === undefined && this.#runners.size >= RUNNERS_PER_PEER) {
      if (this.#problems.isNew("runners", "full")) {
        this.#parts.log.error(
          { node: this.id, max: RUNNERS_PER_PEER },
          "node has too many runners: the others are not reached",
        );
      }
      return;
    }
    const runner = { info, agent };
    if (known !== undefined && JSON.stringify(known) === JSON.stringify(runner)) return;
    this.#runners.set(info.id, runner);
    this.#joined?.add(info, agent);
  }

  unset(runnerId: string): void {
    if (this.#runners.delete(runnerId)) this.#joined?.remove(runnerId);
  }

  /** No further streams; those that are open finish. */
  drain(): void {
    this.#stop();
    this.#tunnel?.close();
  }

  close(reason: string): void {
    this.#stop();
    for (const timer of this.#ageTimers) clearTimeout(timer);
    this.#tunnel?.destroy(lost(reason));
    this.#tunnel = undefined;
  }

  #stop(): void {
    this.#closing.abort();
    clearTimeout(this.#retryTimer);
  }

  #connect(): void {
    if (this.#isConnecting || this.#closing.signal.aborted) return;
    this.#isConnecting = true;
    const { connect } = this.#parts;
    connect(this.#closing.signal)
      .then((connection) => this.#opened(connection))
      .catch((error: unknown) => this.#failed(toError(error)))
      .finally(() => {
        this.#isConnecting = false;
      });
  }

  #opened(connection: Http2Tunnel): void {
    const { node, log, join } = this.#parts;
    if (this.#closing.signal.aborted) return connection.destroy(lost("closed"));
    this.#failures = 0;
    this.#problems.isNew("connect", "");
    connection.onDrain(() => this.#reconnect());
    connection.onClose(() => this.#reconnect());
    this.#replaceLater(connection);
    if (this.#tunnel?.isOpen === true) return this.#tunnel.add(connection);
    const tunnel = new PeerTunnel(connection, () => this.#grow());
    this.#tunnel = tunnel;
    log.info({ node: node.id, url: node.url }, "connected to node");
    const joined = join(node.id, tunnel);
    this.#joined = joined;
    for (const { info, agent } of this.#runners.values()) joined.add(info, agent);
    tunnel.onClose(() => {
      log.info({ node: node.id, url: node.url }, "connection to node closed");
      if (this.#joined === joined) this.#joined = undefined;
    });
  }

  #failed(error: Error): void {
    const { node, log } = this.#parts;
    if (this.#closing.signal.aborted) return;
    this.#failures += 1;
    if (this.#problems.isNew("connect", error.message)) {
      log.warn({ node: node.id, url: node.url, reason: error.message }, "node cannot be reached");
    }
    this.#retryLater();
  }

  /** Where nothing is open any more. */
  #reconnect(): void {
    if (this.#tunnel?.isOpen !== true) this.#retryLater();
  }

  #retryLater(): void {
    if (this.#closing.signal.aborted) return;
    clearTimeout(this.#retryTimer);
    const ms = Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** Math.min(this.#failures, 10));
    this.#retryTimer = setTimeout(() => this.#connect(), ms / 2 + (Math.random() * ms) / 2);
    this.#retryTimer.unref();
  }

  #grow(): void {
    if ((this.#tunnel?.open.length ?? 0) < CONNECTIONS_PER_PEER && this.#failures === 0) this.#connect();
  }

  /** Its successor is opened first; then its streams finish. */
  #replaceLater(connection: Http2Tunnel): void {
    const timer = setTimeout(() => {
      this.#ageTimers.delete(timer);
      const { connect } = this.#parts;
      connect(this.#closing.signal).then(
        (next) => {
          this.#opened(next);
          connection.close();
        },
        () => connection.close(), // dialled again as after a loss
      );
    }, CONNECTION_MAX_AGE_MS);
    timer.unref();
    this.#ageTimers.add(timer);
    connection.onClose(() => {
      clearTimeout(timer);
      this.#ageTimers.delete(timer);
    });
  }
}

function lost(reason: string): TurnaboutError {
  return new TurnaboutError("tunnel_lost", `node: ${reason}`);
}
