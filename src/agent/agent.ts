/** The agent: slots that dial, targets that may be reached, and the routes of its own. */
import { setMaxListeners } from "node:events";
import type { AgentEvent } from "../wire/messages/agent-events.ts";
import { toError, TurnaboutError } from "../wire/errors.ts";
import type { RunnerInfo } from "../wire/messages/hello.ts";
import { MAX_RUNNERS_PER_CONNECTION } from "../wire/limits.ts";
import { CAPABILITY, PROTOCOL_VERSION } from "../wire/protocol.ts";
import { VERSION } from "../wire/version.ts";
import { changesSince } from "./streams/pending-changes.ts";
import { resolveAgentConfig } from "./config.ts";
import type { AgentOptions } from "./config.ts";
import { readSecret } from "./transport/credentials.ts";
import { Discovery } from "./discovery/discovery.ts";
import { openEngine } from "./discovery/docker-engine.ts";
import { socketPathOf } from "./transport/server-url.ts";
import { MAX_DOOR_RUNNERS } from "./limits.ts";
import { createAgentMetrics } from "./metrics.ts";
import { NoticeLog } from "./streams/notice-log.ts";
import { TargetTable } from "./targets/target-table.ts";
import type { OwnRoutesContext } from "./streams/control-routes.ts";
import { startRelay } from "./relay/relay.ts";
import { watchRenewal } from "./transport/certificate-renewal.ts";
import { serveStreams } from "./streams/dispatch.ts";
import { ConnectionSlot } from "./connection/connection-slot.ts";
import type { SlotContext } from "./connection/connection-slot.ts";
import { checkRunners, describeRunner } from "./targets/targets.ts";
import type { Runner, ServedRunner } from "./targets/targets.ts";

export interface Agent extends AsyncDisposable {
  /** Random id of this agent process. */
  readonly instance: string;
  /** Established connections at this moment. */
  readonly connections: number;
  /** Resolves when at least one connection has been established and the control plane has asked for `/hello`. */
  connected(): Promise<void>;
  /** Where it relays, with the real ports, once it does. Rejects if it cannot listen there; the rest goes on. */
  listening(): Promise<readonly string[]>;
  /** Announces a further runner on the living connections. @throws TurnaboutError `config_invalid` */
  addRunner(runner: Runner): void;
  removeRunner(runnerId: string): void;
  /** Drains and ends: GOAWAY, open streams finish until the drain deadline. Idempotent. */
  close(): Promise<void>;
}

/** When this process started: a reconnect keeps it, a restart does not. */
const BOOT_EPOCH_MS = Math.round(Date.now() - process.uptime() * 1_000);

/**
 * Starts an agent: it dials out at once and keeps doing so until `close()`. No error of a peer ends it.
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
    config.log.warn({}, "the server URL has no scheme: taken as http, and the token goes in clear text");
  }
  const metrics = createAgentMetrics();
  const listeners = new Set<(event: AgentEvent) => void>();
  const publish = (event: AgentEvent) => {
    for (const listener of listeners) listener(event);
  };
  const targets = new TargetTable(metrics, ({ runner, target }, healthy) => {
    config.log[healthy ? "info" : "warn"]({ runner, target }, healthy ? "target is up" : "target is down");
    publish({ type: "target-health", runner, target, healthy });
  });
  for (const runner of config.runners) targets.add(runner);

  const board = new NoticeLog(config.log);
  /** Of its own runners those that a newer agent has taken: never offered as its own again, or the two would fight. */
  const replaced = new Set<string>();
  const offer = (runner: ServedRunner): RunnerInfo =>
    describeRunner({ ...runner, discovered: runner.discovered === true || replaced.has(runner.id) });
  const offered = (): RunnerInfo[] => targets.runners().map(offer);
  let connections = 0;
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);
  let closed: Promise<void> | undefined;
  const firstHello = Promise.withResolvers<void>();
  const whenIdle = Promise.withResolvers<void>();

  const routes: Omit<OwnRoutesContext, "credential" | "onHello" | "changes"> = {
    metrics,
    log: config.log,
    hello: () => ({
      protocol: PROTOCOL_VERSION,
      version: VERSION,
      instance: config.instance,
      bootEpochMs: BOOT_EPOCH_MS,
      standby: context.standby,
      capabilities: [
        CAPABILITY.websocket,
        CAPABILITY.targetHost,
        CAPABILITY.proxyStatus,
        CAPABILITY.notices,
        ...(config.events ? [CAPABILITY.events] : []),
      ],
      runners: offered(),
    }),
    onReconnectSpread: (spreadMs) => (context.reconnectSpreadMs = spreadMs),
    onNotices: (notices) => {
      context.reconnectSpreadMs = notices.reconnectSpreadMs ?? context.reconnectSpreadMs;
      const has = (id: string): boolean => targets.has(id);
      board.post(notices, has);
      board.replaced(notices, (id) => has(id) && !targets.isDiscovered(id)).forEach(standBy);
    },
    closing: closing.signal,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };

  const context: SlotContext = {
    config,
    standby: false,
    reconnectSpreadMs: undefined,
    doorRunnerIds: () => {
      // Its own only: the others follow in /hello, and a URL has to stay short. It must name one, whatever has become of it.
      const own = offered().filter(({ discovered }) => discovered !== true);
      const named = own.length > 0 ? own : config.runners;
      return named.slice(0, MAX_DOOR_RUNNERS).map(({ id }) => id);
    },
    serve: (session, carrier, onHello) => {
      let told: RunnerInfo[] = [];
      serveStreams(session, {
        ...routes,
        hello: () => {
          const hello = routes.hello();
          told = hello.runners;
          return hello;
        },
        changes: () => [
          ...changesSince(told, offered()),
          ...targets.unhealthy().map((at): AgentEvent => ({ type: "target-health", ...at, healthy: false })),
        ],
        targets,
        draining: () => closed !== undefined,
        // Only a control plane whose certificate was checked may ask, and only where no header could carry the token.
        credential:
          carrier.kind === "rh2" && config.token !== undefined
            ? async () => (config.token === undefined ? undefined : readSecret(config.token, "token"))
            : undefined,
        onHello: () => {
          onHello();
          firstHello.resolve();
        },
      });
    },
    connectionsChanged: (delta) => {
      connections += delta;
      metrics.connections.set(connections);
      if (connections === 0) whenIdle.resolve();
    },
    connectFailed: (error) => {
      metrics.connectFailures.inc({ code: error instanceof TurnaboutError ? error.code : "internal" });
    },
    established: (kind) => metrics.connects.inc({ carrier: kind }),
  };

  const relay =
    config.listen.length === 0
      ? undefined
      : startRelay({ server: config.server, tls: config, listen: config.listen, log: config.log, metrics });
  relay?.catch((error: unknown) => {
    config.log.error({ reason: toError(error).message }, "relay: cannot listen");
  });

  // A relay without runners of its own has nothing to register.
  const isBare = config.runners.length === 0;
  const slots = Array.from(
    { length: isBare ? 0 : config.connections },
    (_, index) => new ConnectionSlot(index, context),
  );
  // The first connection leads; with a wrong token or a dead server the others would only repeat its complaints.
  const [first, ...others] = slots;
  const running = Promise.all([
    first?.run() ?? Promise.resolve(),
    firstHello.promise.then(() => Promise.all(others.map((slot) => slot.run()))),
  ]);

  const stopWatching =
    config.certFile === undefined
      ? () => {}
      : watchRenewal({
          files: config,
          log: config.log,
          onCertificate: (certificate) => {
            metrics.certificateEnd.set(certificate.validToDate.getTime() / 1_000);
            for (const slot of slots) slot.renewed(certificate.fingerprint256);
          },
        });

  function add(runner: ServedRunner): void {
    board.forget(runner.id);
    targets.add(runner);
    publish({ type: "runner-added", runner: offer(runner) });
  }

  /** The newer agent comes first from now on; this one is behind it, and takes over when that one leaves. */
  function standBy(runnerId: string): void {
    replaced.add(runnerId);
    config.onEvent({ type: "runner-replaced", runner: runnerId });
    const runner = targets.runners().find(({ id }) => id === runnerId);
    if (runner !== undefined) publish({ type: "runner-added", runner: offer(runner) });
  }

  function remove(runnerId: string): void {
    board.forget(runnerId);
    replaced.delete(runnerId);
    targets.remove(runnerId);
    publish({ type: "runner-removed", id: runnerId });
  }

  const ownRunners = (): ServedRunner[] => targets.runners().filter(({ discovered }) => discovered !== true);
  const { docker } = config;
  const discovery =
    docker === undefined
      ? undefined
      : new Discovery({
          open: () => openEngine(docker),
          log: config.log,
          own: () => new Set(ownRunners().map(({ id }) => id)),
          most: () => MAX_RUNNERS_PER_CONNECTION - ownRunners().length,
          add: (runner) => add({ ...runner, discovered: true }),
          // Unless it has become the agent's own in the meantime.
          remove: (id) => targets.isDiscovered(id) && remove(id),
        });
  discovery?.start();

  async function close(): Promise<void> {
    closing.abort();
    stopWatching();
    await Promise.all([closeSlots(), closeRelay()]);
  }

  async function closeRelay(): Promise<void> {
    const open = await relay?.catch(() => undefined);
    await open?.drain(config.drainMs);
  }

  async function closeSlots(): Promise<void> {
    const found = discovery?.close();
    for (const slot of slots) slot.drain();
    firstHello.resolve(); // lets the loops of the other slots start and end
    if (connections === 0) whenIdle.resolve();
    const timer = setTimeout(() => {
      for (const slot of slots) slot.destroy();
    }, config.drainMs);
    await whenIdle.promise;
    clearTimeout(timer);
    await running;
    await found;
  }

  return {
    instance: config.instance,
    get connections() {
      return connections;
    },
    connected: () => firstHello.promise,
    listening: async () => (await relay)?.addresses ?? [],
    addRunner: (runner) => {
      checkRunners([...targets.runners().filter(({ id }) => id !== runner.id), runner]);
      add(runner);
      discovery?.hint();
    },
    removeRunner: (runnerId) => {
      remove(runnerId);
      discovery?.hint();
    },
    close: () => (closed ??= close()),
    [Symbol.asyncDispose]: () => (closed ??= close()),
  };
}
