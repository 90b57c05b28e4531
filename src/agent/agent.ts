/** The agent's parts, wired together: the runners that it offers, its connections, discovery and the relay. */
import { setMaxListeners } from "node:events";
import { toError } from "../wire/errors.ts";
import { MAX_RUNNERS_PER_CONNECTION } from "../wire/limits.ts";
import type { Hello, RunnerInfo } from "../wire/messages/hello.ts";
import { CAPABILITY, PROTOCOL_VERSION } from "../wire/protocol.ts";
import { TokenBucket } from "../wire/token-bucket.ts";
import { VERSION } from "../wire/version.ts";
import { resolveAgentConfig } from "./config.ts";
import type { AgentOptions } from "./config.ts";
import { createAgentDiagnosis } from "./diagnosis.ts";
import type { Connected } from "./connection/connection-slot.ts";
import { ConnectionSlots } from "./connection/slots.ts";
import { StandBy } from "./connection/stand-by.ts";
import type { Discovery, DiscoveryContext } from "./discovery/discovery.ts";
import { MAX_ENDPOINT_RUNNERS, NOTICES_BURST, NOTICES_PER_S, STREAMS_PER_TARGET } from "./limits.ts";
import { createAgentMetrics } from "./metrics.ts";
import type { DiscoveryFigures } from "./metrics.ts";
import type { Relay, RelayOptions } from "./relay/relay.ts";
import { serveStreams } from "./streams/dispatch.ts";
import { OfferedRunners } from "./targets/offered-runners.ts";
import { checkRunners } from "./targets/targets.ts";
import type { Runner, TargetAddress } from "./targets/targets.ts";
import { watchRenewal } from "./transport/certificate-renewal.ts";
import { readSecret, withoutClientCertificate } from "./transport/credentials.ts";
import { socketPathOf } from "./transport/server-url.ts";

export interface Agent extends AsyncDisposable {
  /** Random id of this agent process. */
  readonly processId: string;
  /** Established connections at this moment. */
  readonly connections: number;
  /**
   * Resolves when the control plane has registered the agent by its first connection: its runners can be dialled. The agent goes
   * on trying whatever happens to this promise.
   *
   * @throws TurnaboutError `unauthenticated`, `not_allowed` or `bad_request` if the control plane refuses the agent, which only
   * an operator can change (each refusal rejects the calls that wait, or else the next one); `aborted` with the signal's
   * reason as its cause; `agent_draining` if the agent is closed before
   */
  connected(options?: { signal?: AbortSignal | undefined }): Promise<void>;
  /** Addresses that the relay listens on, with the actual ports. Rejects if it cannot listen; the agent itself continues. */
  listening(): Promise<readonly string[]>;
  /** Adds a runner, or replaces its targets, and announces it on the open connections. @throws TurnaboutError `config_invalid` */
  addRunner(runner: Runner): void;
  removeRunner(runnerId: string): void;
  /** Drains and closes: sends GOAWAY, and lets open streams finish until the drain deadline. Idempotent. */
  close(): Promise<void>;
}

/** When this process started, in Unix milliseconds: the newest process serves a runner. */
const BOOT_EPOCH_MS = Math.round(Date.now() - process.uptime() * 1_000);

/**
 * Starts an agent. It dials at once, and again after every loss, until `close()`. No error of a peer ends it.
 *
 * @throws TurnaboutError `config_invalid`
 * @example
 * ```ts
 * const agent = createAgent({
 *   server: "https://cp.example",
 *   token: { file: "/run/secrets/token" },
 *   runners: { "wolf-1": { wolf: "unix:/var/run/wolf/wolf.sock" } },
 * });
 * ```
 */
export function createAgent(options: AgentOptions): Agent {
  const config = resolveAgentConfig(options);
  if (!config.server.includes("://") && socketPathOf(config.server) === undefined) {
    config.log.warn({}, "the server URL has no scheme: http is used, and the token is sent in clear text");
  }
  const metrics = createAgentMetrics({
    targets: () => offered.targets.health(),
    tunnelBytes: () => slots.transferredBytes,
    stalled: () => slots.stalledStreams(),
    discovery: () => discoveryFigures,
  });
  const { token } = config;
  const standBy = new StandBy(config.standbyDelayMs);
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);
  let closed: Promise<void> | undefined;

  const offered = new OfferedRunners({
    runners: config.runners,
    metrics,
    log: config.log,
    onReplaced: (runner) => config.onEvent({ type: "runner-replaced", runner }),
  });

  const hello = (): Hello => ({
    protocol: PROTOCOL_VERSION,
    version: VERSION,
    instance: config.processId,
    bootEpochMs: BOOT_EPOCH_MS,
    standby: standBy.isActive,
    capabilities: [
      CAPABILITY.websocket,
      CAPABILITY.targetHost,
      CAPABILITY.proxyStatus,
      CAPABILITY.notices,
      CAPABILITY.restart,
      CAPABILITY.requestId,
      CAPABILITY.diagnosis,
      ...(config.events ? [CAPABILITY.events] : []),
    ],
    streamsPerTarget: STREAMS_PER_TARGET,
    runners: offered.list(),
  });

  const diagnose = createAgentDiagnosis({
    config,
    metrics,
    connections: () => slots.connections,
    served: () => offered.targets.runners(),
    offered: () => offered.list(),
    unhealthy: () => offered.targets.unhealthy(),
  });

  function serve({ http2Session, carrier, onHello, onRestart }: Connected): void {
    let reported: RunnerInfo[] = [];
    serveStreams(http2Session, {
      targets: offered.targets,
      metrics,
      log: config.log,
      tracing: config.tracing,
      hello: () => {
        const message = hello();
        reported = message.runners;
        return message;
      },
      changes: () => offered.changesSince(reported),
      subscribe: (listener) => offered.subscribe(listener),
      // Only for a control plane whose certificate was checked, and only where no header could carry the token.
      credential:
        carrier.kind === "rh2" && token !== undefined ? async () => readSecret(token, "token") : undefined,
      onHello,
      onReconnectSpread: (spreadMs) => slots.spreadReconnects(spreadMs),
      onNotices: (notices) => {
        if (notices.reconnectSpreadMs !== undefined) slots.spreadReconnects(notices.reconnectSpreadMs);
        offered.takeNotices(notices);
        if (notices.restarting === true) onRestart(notices.reconnectSpreadMs);
      },
      diagnose,
      notices: new TokenBucket({ burst: NOTICES_BURST, perS: NOTICES_PER_S }),
      closing: closing.signal,
    });
  }

  const relay =
    config.listen.length === 0
      ? undefined
      : loadRelay({
          server: config.server,
          tls: withoutClientCertificate(config),
          listen: config.listen,
          log: config.log,
          metrics,
        });
  if (relay !== undefined && config.certFile !== undefined) {
    config.log.warn(
      {},
      "relay: the client certificate is for this agent's own runners; forwarded connections have none",
    );
  }
  relay?.catch((error: unknown) => {
    config.log.error({ reason: toError(error).message }, "relay: cannot listen");
  });

  const slots = new ConnectionSlots({
    count: config.runners.length === 0 ? 0 : config.connections, // a relay alone has nothing to register
    config,
    metrics,
    standBy,
    serve,
    endpointRunnerIds: () => {
      // Only its own: the others follow in /hello, and a URL must stay short. It must name at least one, even a removed one.
      const own = offered.list().filter(({ discovered }) => discovered !== true);
      const named = own.length > 0 ? own : config.runners;
      return named.slice(0, MAX_ENDPOINT_RUNNERS).map(({ id }) => id);
    },
  });

  const stopWatching =
    config.certFile === undefined
      ? () => {}
      : watchRenewal({
          files: config,
          log: config.log,
          onCertificate: (certificate) => {
            metrics.certificateEnd.set(certificate.validToDate.getTime() / 1_000);
            slots.certificateRenewed(certificate.fingerprint256);
          },
        });

  const { docker } = config;
  const discovery =
    docker === undefined
      ? undefined
      : startDiscovery(docker, {
          hostNetwork: config.discoverHostNetwork === true,
          log: config.log,
          own: () => new Set(offered.own().map(({ id }) => id)),
          maxRunners: () => MAX_RUNNERS_PER_CONNECTION - offered.own().length,
          add: (runner) => offered.add({ ...runner, discovered: true }),
          // Unless it has become the agent's own in the meantime.
          remove: (id) => offered.targets.isDiscovered(id) && offered.remove(id),
        });
  let discoveryFigures: DiscoveryFigures | undefined;
  discovery?.then(
    ({ figures }) => (discoveryFigures = figures),
    (error: unknown) => config.log.error({ err: error }, "docker: discovery cannot be loaded"),
  );
  const hint = (): void => void discovery?.then((started) => started.hint()).catch(() => {});

  async function close(): Promise<void> {
    closing.abort();
    stopWatching();
    await Promise.all([closeDiscovery(), slots.close(), closeRelay()]);
  }

  async function closeDiscovery(): Promise<void> {
    const started = await discovery?.catch(() => undefined);
    await started?.close();
  }

  async function closeRelay(): Promise<void> {
    const open = await relay?.catch(() => undefined);
    await open?.drain(config.drainMs);
  }

  return {
    processId: config.processId,
    get connections() {
      return slots.connections;
    },
    connected: (options) => slots.connected(options?.signal),
    listening: async () => (await relay)?.addresses ?? [],
    addRunner: (runner) => {
      checkRunners([...offered.targets.runners().filter(({ id }) => id !== runner.id), runner]);
      offered.add(runner);
      hint();
    },
    removeRunner: (runnerId) => {
      offered.remove(runnerId);
      hint();
    },
    close: () => (closed ??= close()),
    [Symbol.asyncDispose]: () => (closed ??= close()),
  };
}

/** Loaded where it is used: an agent without these options needs neither. */
async function startDiscovery(
  docker: TargetAddress,
  context: Omit<DiscoveryContext, "engine">,
): Promise<Discovery> {
  const loading = Promise.all([import("./discovery/discovery.ts"), import("./discovery/docker-engine.ts")]);
  const [{ Discovery }, { openEngine }] = await loading;
  const discovery = new Discovery({ ...context, engine: openEngine(docker) });
  discovery.start();
  return discovery;
}

async function loadRelay(options: RelayOptions): Promise<Relay> {
  const { startRelay } = await import("./relay/relay.ts");
  return startRelay(options);
}
