/** Forwards upgrade requests of agents to the control plane, and joins the connections that it accepts. */
import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ErrorCode } from "../../wire/error-table.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { isRunnerId } from "../../wire/messages/names.ts";
import { ENDPOINT_RUNNER_PARAMETER } from "../../wire/protocol.ts";
import { ReportedProblems } from "../../wire/reported-problems.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { abort } from "../../wire/streams/splice.ts";
import {
  MAX_RELAY_DIALS,
  MAX_RELAYED_CONNECTIONS,
  RELAY_DIAL_TIMEOUT_MS,
  RELAY_QUIET_MS,
} from "../limits.ts";
import type { AgentMetrics } from "../metrics.ts";
import type { TlsFiles } from "../transport/credentials.ts";
import { endpointUrl, socketPathOf, zoneOf } from "../transport/server-url.ts";
import { openTransport } from "../transport/transport.ts";
import { watchDisconnect } from "./agent-disconnect.ts";
import { rawErrorResponse } from "./error-response.ts";
import { forwardedFields, isLoop } from "./forwarded-fields.ts";
import { JoinedConnections } from "./joined-connections.ts";
import type { UpgradeRequest } from "./listener.ts";
import { requestUpgrade } from "./upgrade-request.ts";
import type { UpstreamResponse } from "./upgrade-request.ts";

export interface ForwarderContext {
  /** URL of the control plane, or of the next relay. */
  server: string;
  tls: TlsFiles;
  /** Random id of this relay. */
  relayId: string;
  log: Logger;
  metrics: AgentMetrics;
  /** Writes a last response to a socket, and closes it. */
  respond(socket: Duplex, response: Buffer): void;
}

export class RelayForwarder {
  readonly #context: ForwarderContext;
  readonly #joined = new JoinedConnections();
  readonly #closing = new AbortController();
  readonly #idle = Promise.withResolvers<void>();
  #dials = 0;
  readonly #reported = new ReportedProblems();

  constructor(context: ForwarderContext) {
    this.#context = context;
    setMaxListeners(0, this.#closing.signal);
  }

  handle(upgrade: UpgradeRequest): void {
    const refusal = this.#refusal(upgrade);
    if (refusal !== undefined) return this.#refuse(upgrade, refusal);
    this.#dials += 1;
    const watch = watchDisconnect(upgrade.socket, upgrade.head);
    void this.#forward(upgrade, watch.signal)
      .then(
        (response) => {
          watch.stop();
          this.#takeResponse(upgrade, response);
        },
        (error: unknown) => {
          watch.stop();
          this.#fail(upgrade, toError(error));
        },
      )
      // An exception here must leave nothing that the drain would wait for.
      .catch((error: unknown) => this.#abort(upgrade.socket, toError(error)))
      .finally(() => {
        this.#dials -= 1;
        this.#checkIdle();
      });
  }

  /** Busy connections continue until the deadline; the others close as soon as they are quiet. */
  async drain(deadlineMs: number): Promise<void> {
    this.#closing.abort(new TurnaboutError("agent_draining", "the relay is shutting down"));
    this.#checkIdle();
    this.#joined.startCounting();
    const timer = setInterval(() => this.#joined.closeQuiet(), RELAY_QUIET_MS);
    const deadline = setTimeout(() => this.#joined.destroy(), deadlineMs);
    await this.#idle.promise;
    clearInterval(timer);
    clearTimeout(deadline);
  }

  #refusal({ request }: UpgradeRequest): ErrorCode | undefined {
    if (this.#closing.signal.aborted) return "agent_draining";
    if (isLoop(request, this.#context.relayId)) return "relay_loop";
    const isFull = this.#joined.size + this.#dials >= MAX_RELAYED_CONNECTIONS;
    return isFull || this.#dials >= MAX_RELAY_DIALS ? "relay_full" : undefined;
  }

  async #forward(
    { request, socket, protocol }: UpgradeRequest,
    disconnected: AbortSignal,
  ): Promise<UpstreamResponse> {
    const { server, tls, relayId } = this.#context;
    const url = endpointUrl(server);
    const timeout = AbortSignal.timeout(RELAY_DIAL_TIMEOUT_MS);
    const signal = AbortSignal.any([disconnected, timeout, this.#closing.signal]);
    // No ALPN, as for every upgrade. The credential is the agent's; none of the relay's own is sent.
    const destination = { url, zone: zoneOf(server), socketPath: socketPathOf(server) };
    const transport = await openTransport({ ...destination, tls, alpn: [], signal });
    const query = (request.url ?? "").slice((request.url ?? "").split("?", 1)[0]?.length);
    const peer = socket.remoteAddress;
    const fields = forwardedFields(request, { host: url.host, upgrade: protocol, relayId, peer });
    try {
      const response = await requestUpgrade(transport, url.pathname + query, fields, signal);
      if (response.kind === "refused") transport.destroy();
      return response;
    } catch (error) {
      transport.destroy();
      throw error;
    }
  }

  #takeResponse(upgrade: UpgradeRequest, response: UpstreamResponse): void {
    const { log, metrics } = this.#context;
    const { socket } = upgrade;
    if (response.kind === "refused") {
      metrics.relayedTotal.inc({ outcome: "refused" });
      this.#logFailure(upgrade, `the control plane responded with ${response.status}`);
      return this.#context.respond(socket, response.bytes);
    }
    if (socket.destroyed) {
      metrics.relayedTotal.inc({ outcome: "aborted" });
      return abort(response.stream);
    }
    this.#reported.forget("");
    metrics.relayedTotal.inc({ outcome: "ok" });
    this.#joined.join(socket, response.stream, response.head, () => {
      metrics.relayedConnections.set(this.#joined.size);
      this.#checkIdle();
      new Guard().run(() => log.info(describe(upgrade), "relay: connection closed"));
    });
    metrics.relayedConnections.set(this.#joined.size);
    log.info(describe(upgrade), "relay: connection forwarded");
  }

  #abort(socket: Socket, reason: Error): void {
    this.#joined.abortPairOf(socket, reason);
    this.#context.metrics.relayedConnections.set(this.#joined.size);
  }

  #fail(upgrade: UpgradeRequest, error: Error): void {
    if (upgrade.socket.destroyed) {
      this.#context.metrics.relayedTotal.inc({ outcome: "aborted" });
      return;
    }
    this.#refuse(upgrade, this.#closing.signal.aborted ? "agent_draining" : codeOf(error), error.message);
  }

  #refuse(upgrade: UpgradeRequest, code: ErrorCode, reason: string = code): void {
    this.#context.metrics.relayedTotal.inc({ outcome: code });
    this.#logFailure(upgrade, reason);
    this.#context.respond(upgrade.socket, rawErrorResponse(code));
  }

  /** Each new reason as a warning, its repetitions at debug: agents may try for weeks. */
  #logFailure(upgrade: UpgradeRequest, reason: string): void {
    const level = this.#reported.isNew("", reason) ? "warn" : "debug";
    this.#context.log[level]({ ...describe(upgrade), reason }, "relay: not forwarded");
  }

  #checkIdle(): void {
    if (this.#closing.signal.aborted && this.#joined.size === 0 && this.#dials === 0) this.#idle.resolve();
  }
}

/** The code that the agent gets. A file that the relay cannot read is not the agent's error. */
function codeOf(error: Error): ErrorCode {
  if (!(error instanceof TurnaboutError)) return "bad_request"; // node has refused to send it on
  return error.code === "config_invalid" ? "server_unreachable" : error.code;
}

/** For the log: the agent's address and runners. Never the token. */
function describe({ request, socket }: UpgradeRequest): { peer: string; runners: string[] } {
  const query = new URLSearchParams((request.url ?? "").split("?", 2)[1]);
  const runners = query.getAll(ENDPOINT_RUNNER_PARAMETER).filter(isRunnerId).slice(0, 4);
  return { peer: socket.remoteAddress ?? "unix", runners };
}
