/** Forwards upgrade requests of agents to the control plane, and joins the connections that it accepts. */
import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ErrorCode } from "../../wire/error-table.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { LimitedLog } from "../../wire/limited-log.ts";
import type { Logger } from "../../wire/log.ts";
import { isRunnerId } from "../../wire/messages/names.ts";
import { ENDPOINT_RUNNER_PARAMETER } from "../../wire/protocol.ts";
import { ReportedProblems } from "../../wire/reported-problems.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { abort } from "../../wire/streams/splice.ts";
import { RELAY_DIAL_TIMEOUT_MS, RELAY_LINES_PER_MINUTE, RELAY_QUIET_MS } from "../limits.ts";
import type { AgentMetrics } from "../metrics.ts";
import type { ServerTrust } from "../transport/credentials.ts";
import { endpointUrl, socketPathOf, zoneOf } from "../transport/server-url.ts";
import { refusedRelayByAlert } from "../transport/tls-errors.ts";
import { openTransport } from "../transport/transport.ts";
import { watchDisconnect } from "./agent-disconnect.ts";
import { rawErrorResponse } from "./error-response.ts";
import { forwardedFields, isLoop } from "./forwarded-fields.ts";
import { JoinedConnections } from "./joined-connections.ts";
import type { UpgradeRequest } from "./listener.ts";
import { holderOf, RelayShares } from "./shares.ts";
import type { Holder } from "./shares.ts";
import { forwardedPath, isPickup } from "./pickup.ts";
import { requestUpgrade } from "./upgrade-request.ts";
import type { UpstreamResponse } from "./upgrade-request.ts";
import { WaitingPickups } from "./waiting-pickups.ts";

export interface ForwarderContext {
  /** URL of the control plane, or of the next relay. */
  server: string;
  tls: ServerTrust;
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
  readonly #shares = new RelayShares();
  readonly #waiting = new WaitingPickups();
  #dials = 0;
  readonly #reported = new ReportedProblems();
  readonly #failureLog: LimitedLog;
  readonly #connectionLog: LimitedLog;

  constructor(context: ForwarderContext) {
    this.#context = context;
    this.#failureLog = new LimitedLog(context.log, RELAY_LINES_PER_MINUTE);
    this.#connectionLog = new LimitedLog(context.log, RELAY_LINES_PER_MINUTE);
    setMaxListeners(0, this.#closing.signal);
  }

  handle(upgrade: UpgradeRequest): void {
    const refusal = this.#refusal(upgrade);
    if (refusal !== undefined) return this.#refuse(upgrade, refusal);
    const holder = holderOf(upgrade.request, upgrade.socket);
    const isDial = isPickup(upgrade.request.url ?? "");
    if (isDial && this.#waiting.has(holder.peer) && this.#wait(upgrade, holder)) return;
    this.#dial(upgrade, holder, isDial);
  }

  /** Until a dial has ended. False if it cannot. */
  #wait(upgrade: UpgradeRequest, holder: Holder): boolean {
    if (!this.#shares.hasRoomFor(holder)) return false;
    return this.#waiting.add(upgrade.socket, holder.peer, {
      retry: () => this.#dial(upgrade, holder, true),
      refuse: () => this.#refuse(upgrade, this.#refusal(upgrade) ?? "relay_full"),
    });
  }

  /** False if it was refused. */
  #dial(upgrade: UpgradeRequest, holder: Holder, mayWait: boolean): boolean {
    const displaced = new AbortController();
    const release = this.#shares.dial(holder, () =>
      displaced.abort(full("another agent's dial took its place")),
    );
    if (release === undefined) {
      if (mayWait && this.#wait(upgrade, holder)) return true;
      this.#refuse(upgrade, "relay_full");
      return false;
    }
    this.#dials += 1;
    const watch = watchDisconnect(upgrade.socket, upgrade.head);
    void this.#forward(upgrade, AbortSignal.any([watch.signal, displaced.signal]))
      .then(
        (response) => {
          watch.stop();
          release();
          this.#takeResponse(upgrade, holder, response);
        },
        (error: unknown) => {
          watch.stop();
          release();
          this.#fail(upgrade, toError(displaced.signal.aborted ? displaced.signal.reason : error));
        },
      )
      // An exception here must leave nothing that the drain would wait for.
      .catch((error: unknown) => this.#abort(upgrade.socket, toError(error)))
      .finally(() => {
        this.#dials -= 1;
        this.#waiting.next();
        this.#checkIdle();
      });
    return true;
  }

  /** Busy connections continue until the deadline; the others close as soon as they are quiet. */
  async drain(deadlineMs: number): Promise<void> {
    this.#closing.abort(new TurnaboutError("agent_draining", "the relay is shutting down"));
    this.#waiting.flush();
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
    return isLoop(request, this.#context.relayId) ? "relay_loop" : undefined;
  }

  async #forward(
    { request, socket, protocol }: UpgradeRequest,
    abandoned: AbortSignal,
  ): Promise<UpstreamResponse> {
    const { server, tls, relayId } = this.#context;
    const url = endpointUrl(server);
    const timeout = AbortSignal.timeout(RELAY_DIAL_TIMEOUT_MS);
    const signal = AbortSignal.any([abandoned, timeout, this.#closing.signal]);
    // No ALPN, as for every upgrade. The credential is the agent's; the relay has none of its own here.
    const destination = { url, zone: zoneOf(server), socketPath: socketPathOf(server) };
    const transport = await openTransport({ ...destination, tls, alpn: [], signal });
    const peer = socket.remoteAddress;
    const fields = forwardedFields(request, { host: url.host, upgrade: protocol, relayId, peer });
    try {
      const response = await requestUpgrade(
        transport,
        forwardedPath(request.url ?? "", url.pathname),
        fields,
        signal,
      );
      if (response.kind === "refused") transport.destroy();
      return response;
    } catch (error) {
      transport.destroy();
      throw error;
    }
  }

  #takeResponse(upgrade: UpgradeRequest, holder: Holder, response: UpstreamResponse): void {
    const { metrics } = this.#context;
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
    const release = this.#shares.join(holder, () => this.#displace(upgrade));
    if (release === undefined) {
      abort(response.stream);
      return this.#refuse(upgrade, "relay_full");
    }
    this.#reported.forget("");
    metrics.relayedTotal.inc({ outcome: "ok" });
    const isDial = isPickup(upgrade.request.url ?? "");
    this.#joined.join(socket, response, isDial, () => {
      release();
      metrics.relayedConnections.set(this.#joined.size);
      this.#checkIdle();
      new Guard().run(() => this.#connectionLog.info(describe(upgrade), "relay: connection closed"));
    });
    metrics.relayedConnections.set(this.#joined.size);
    this.#connectionLog.info(describe(upgrade), "relay: connection forwarded");
  }

  #displace(upgrade: UpgradeRequest): void {
    this.#abort(upgrade.socket, full("another agent took its place"));
    this.#failureLog.warn(
      describe(upgrade),
      "relay: all places are taken; closed a connection of the largest credential",
    );
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
    const reason = refusedRelayByAlert(error) ?? error;
    this.#refuse(upgrade, this.#closing.signal.aborted ? "agent_draining" : codeOf(reason), reason.message);
  }

  #refuse(upgrade: UpgradeRequest, code: ErrorCode, reason: string = code): void {
    this.#context.metrics.relayedTotal.inc({ outcome: code });
    this.#logFailure(upgrade, reason);
    this.#context.respond(upgrade.socket, rawErrorResponse(code));
  }

  /** Each new reason as a warning, its repetitions at debug: agents may try for weeks. */
  #logFailure(upgrade: UpgradeRequest, reason: string): void {
    const log = this.#reported.isNew("", reason) ? this.#failureLog : undefined;
    const line = [{ ...describe(upgrade), reason }, "relay: not forwarded"] as const;
    if (log === undefined) this.#context.log.debug(...line);
    else log.warn(...line);
  }

  #checkIdle(): void {
    if (this.#closing.signal.aborted && this.#joined.size === 0 && this.#dials === 0) this.#idle.resolve();
  }
}

function full(why: string): TurnaboutError {
  return new TurnaboutError("relay_full", `relay: ${why}`);
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
