/** The control plane: composition root, and the only file that knows all of control/. */
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { createWolfClient, wolfOverTunnel } from "../clients/wolf/client.ts";
import type { Dial } from "../wire/streams/dial.ts";
import { TurnaboutError } from "../wire/errors.ts";
import type { KeepaliveOptions } from "../wire/session/keepalive.ts";
import { DRAIN_DEADLINE_MS } from "../wire/limits.ts";
import { silentLogger } from "../wire/log.ts";
import { formatAuthority, parseRunnerId } from "../wire/messages/names.ts";
import type { Destination } from "../wire/messages/names.ts";
import type { Logger } from "../wire/log.ts";
import { checkPair } from "../wire/tls/pem.ts";
import { TunnelSocket } from "../wire/streams/tunnel-socket.ts";
import { TokenIssuer } from "./auth/issuer.ts";
import { Policy } from "../helix/sessions/policy.ts";
import { followTokenFile, TokenStore } from "./auth/tokens.ts";
import type { TokenRecord } from "./auth/tokens.ts";
import { ClientCertificates } from "./auth/client-certificates.ts";
import { isNarrowed, matchesPattern } from "./auth/identity.ts";
import { CertificateExpiry } from "./admission/certificate-expiry.ts";
import type { AgentConnection } from "./registry/agent-connection.ts";
import { runnerTargets, TargetRoutes } from "./proxy/target-routes.ts";
import { Dialer } from "./registry/dialer.ts";
import { admit } from "./admission/admission.ts";
import type { AdmissionContext } from "./admission/admission.ts";
import { AgentEndpoint } from "./admission/agent-endpoint.ts";
import { EventBus } from "./event-bus.ts";
import { TrustedProxies } from "./trusted-proxies/trusted-proxies.ts";
import type { TrustedProxiesOptions } from "./trusted-proxies/trusted-proxies.ts";
import { GRACE_MS, WARM_UP_MS } from "./limits.ts";
import { createPort } from "./listener/port.ts";
import type { PortTls } from "./listener/port.ts";
import { createControlMetrics } from "./metrics.ts";
import { StreamRate } from "../helix/moonlight/credentials.ts";
import { Access } from "./auth/access.ts";
import { ActiveStreams } from "./auth/active-streams.ts";
import { revise } from "./admission/token-changes.ts";
import { tellReplaced } from "./admission/refused-runners.ts";
import { ReconnectSpread } from "./admission/reconnect-spread.ts";
import { RateLimitedLog } from "./listener/rate-limited-log.ts";
import { Registry } from "./registry/registry.ts";
import type { RegistryEvent, RunnerView } from "./registry/registry.ts";
import { createRouter } from "./router/router.ts";
import { createApp } from "./api/app.ts";
import { instanceOfRunner, sandboxRunner, wolfRunner } from "../helix/ids.ts";
import { deleteSessionsOf, helixResources } from "../helix/api/resources.ts";
import { helixTargetRoutes } from "../helix/routes.ts";
import { ImageRules } from "../helix/sessions/images.ts";
import { Instances } from "../helix/instances/instances.ts";
import type { Lobbies } from "../helix/sessions/lobbies.ts";
import { SandboxAccess } from "../helix/sessions/sandbox-access.ts";
import { Sessions } from "../helix/sessions/sessions.ts";
import type { SessionEvent } from "../helix/sessions/sessions.ts";
import { lobbiesOf } from "../helix/sessions/wolf-lobbies.ts";
import { openDatabase, storeId } from "./store/database.ts";
import { InstanceStore } from "../helix/store/instances.ts";
import { KnownRunnerStore, REMEMBER_AGAIN_MS } from "./store/known-runners.ts";
import { SessionStore } from "../helix/store/sessions.ts";
import { IssuedTokenStore } from "./store/tokens.ts";
import { certificateEnds, followTlsFiles } from "./reload/tls-files.ts";
import type { FollowedTls, TlsFiles } from "./reload/tls-files.ts";

export interface ControlPlaneOptions extends KeepaliveOptions, TrustedProxiesOptions {
  /** Port to listen on. 0 takes a free one. Default 8080. */
  port?: number | undefined;
  /** Address to listen on. Default: all. */
  host?: string | undefined;
  /** PEM texts; with them the same port speaks TLS besides plaintext. */
  tls?: PortTls | undefined;
  /** The same as files, which are followed: new connections get the new certificate, sessions go on. */
  tlsFiles?: TlsFiles | undefined;
  /** Where state survives a restart (SQLite). Default: in memory only. */
  dataDirectory?: string | undefined;
  /** A token that may do everything. */
  adminToken?: string | undefined;
  /** Further tokens, as hashes. */
  tokens?: readonly TokenRecord[] | undefined;
  /** JSON file with further tokens; followed for changes. */
  tokenFile?: string | undefined;
  /** Origins from which a cookie is accepted for WebSockets and changes, besides the control plane's own. */
  allowedOrigins?: readonly string[] | undefined;
  /**
   * Targets whose pages keep the control plane's origin where a browser opens them with its cookie, as
   * `<target>.<runner>`, with `*` for any run of characters. A script on such a page may do whatever its viewer may.
   * Default: none.
   */
  trustedPages?: readonly string[] | undefined;
  /** Moonlight Web's shared secret; without it its routes are refused. */
  moonlightCredentials?: string | undefined;
  /** What the agents of sandboxes dial, as seen from inside them; goes into their environment. */
  agentUrl?: string | undefined;
  /** Container image of a sandbox where the request names none. */
  sandboxImage?: string | undefined;
  /** Images that users may name besides it, as patterns with `*`. Default: none. An admin may name any. */
  allowedImages?: readonly string[] | undefined;
  /** Sessions that a user may have at once. Default: as many as there are places. An admin may create more. */
  maxSessionsPerUser?: number | undefined;
  /** Path in front of all routes, where a proxy does not strip it. Default none. */
  basePath?: string | undefined;
  /** Time after a lost connection in which dials wait. Default 30,000. */
  graceMs?: number | undefined;
  /** Time after a start in which runners known before are awaited. Default 30,000. */
  warmUpMs?: number | undefined;
  /** A target's response header. Default 60,000. */
  responseTimeoutMs?: number | undefined;
  /** How long `close()` waits for open streams. Default 30,000. */
  drainMs?: number | undefined;
  /** `/readyz` is 200 only while these runners are connected. Default none. */
  readyWhenConnected?: readonly string[] | undefined;
  log?: Logger | undefined;
  /** Runners: connects, losses, replacements. */
  onEvent?: ((event: RegistryEvent) => void) | undefined;
  /** Sessions: created, lost, back, ended. */
  onSessionEvent?: ((event: SessionEvent) => void) | undefined;
}

export interface ControlPlane extends AsyncDisposable {
  /** Where it listens. */
  readonly address: AddressInfo;
  readonly port: number;
  /** Opens a byte stream to a target of a runner. */
  readonly dial: Dial;
  /** Known runners with their state. */
  runners(): RunnerView[];
  /** Closes all connections of a runner. False if it is not connected. */
  kick(runnerId: string): boolean;
  /** New certificates for new connections; sessions go on. */
  setTls(tls: PortTls): void;
  /** Replaces the tokens that were given as options; what a removed one has opened is closed. */
  setTokens(tokens: readonly TokenRecord[]): void;
  /** Drains and ends: agents get GOAWAY, requests in flight finish until the drain deadline. Idempotent. */
  close(): Promise<void>;
}

const DEFAULT_SANDBOX_IMAGE = "turnabout-sandbox:latest";

/**
 * Starts a control plane and resolves when it listens.
 *
 * @throws TurnaboutError `config_invalid`, or the listener's own error (EADDRINUSE, …)
 * @example
 * ```ts
 * const controlPlane = await createControlPlane({ port: 8080, adminToken: process.env.TURNABOUT_ADMIN_TOKEN });
 * const socket = await controlPlane.dial("wolf-local", "wolf");
 * ```
 */
export async function createControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const log = options.log ?? silentLogger;
  const basePath = checkBasePath(options.basePath ?? "");
  const allowedOrigins = options.allowedOrigins ?? [];
  const trustedProxies = new TrustedProxies(options);
  const sandboxImage = options.sandboxImage ?? DEFAULT_SANDBOX_IMAGE;
  const images = new ImageRules(sandboxImage, options.allowedImages);
  const trustsPages = pageTrust(options.trustedPages ?? []);
  for (const id of options.readyWhenConnected ?? []) parseRunnerId(id);
  const certificates = new ClientCertificates();
  if (options.tls !== undefined) {
    checkPair({ text: options.tls.cert, from: "tls.cert" }, { text: options.tls.key, from: "tls.key" });
    certificates.replace(options.tls);
  }
  const database = openDatabase(options.dataDirectory);
  const knownRunners = new KnownRunnerStore(database);
  const sessionStore = new SessionStore(database);
  const tokens = new TokenStore(options.adminToken, options.tokens);
  const issuer = new TokenIssuer(new IssuedTokenStore(database), tokens);
  const policy = new Policy(sessionStore);
  const access = new Access();
  access.add(policy);
  const activeStreams = new ActiveStreams();
  const bus = new EventBus((error) => log.error({ err: error }, "event subscriber failed"));
  const opened = new Set<AgentConnection>();
  const watch = new CertificateExpiry(opened, certificates, log);
  const spread = new ReconnectSpread(opened, log);
  let tls = options.tls;

  const registry = new Registry({
    graceMs: options.graceMs,
    onEvent: (event) => bus.publish(event),
    onReplaced: (connection, runnerId) => tellReplaced(connection, runnerId, log),
  });
  const instances = new Instances(new InstanceStore(database), registry, log);
  const metrics = createControlMetrics({
    connections: () => registry.connections().size,
    runners: () => countStates(registry),
    waitingDials: () => registry.waitingDials,
    certificateEnds: () => certificateEnds(tls),
    diskUsedPercents: () => instances.diskUsedPercents(),
    gpuMemoryUsedPercents: () => instances.gpuMemoryUsedPercents(),
    streams: () => [...registry.connections()].reduce((sum, connection) => sum + connection.openStreams, 0),
  });
  const dialer = new Dialer(registry, metrics);
  let closed: Promise<void> | undefined;
  const draining = () => closed !== undefined;

  const lobbies = new Map<string, Lobbies>();
  const sessions = new Sessions({
    store: sessionStore,
    storeId: storeId(database),
    instances,
    access: new SandboxAccess({ issuer, activeStreams, runners: registry }),
    lobbies: (instanceId) => {
      const known =
        lobbies.get(instanceId) ?? lobbiesOf(createWolfClient(wolfOverTunnel(dial, wolfRunner(instanceId))));
      lobbies.set(instanceId, known);
      return known;
    },
    agentUrl: options.agentUrl,
    defaultImage: sandboxImage,
    awaitMs: Math.max(options.graceMs ?? GRACE_MS, options.warmUpMs ?? WARM_UP_MS),
    log,
    onEvent: (event) => bus.publish(event),
  });

  bus.subscribe((event) => {
    log.info({ ...event }, "event");
    metrics.agentEvents.inc({ event: event.type });
    if ("runner" in event) options.onEvent?.(event);
    else options.onSessionEvent?.(event as SessionEvent);
  });
  bus.subscribe((event) => {
    if (event.type === "session-ended") knownRunners.forget(sandboxRunner((event as SessionEvent).session));
    if (!("runner" in event)) return;
    const view = registry.view(event.runner);
    if (event.type === "connected") knownRunners.seen(event.runner, registry.holderOf(event.runner));
    else if (event.type === "lost") knownRunners.stillThere([event.runner]);
    const instance = instanceOfRunner(event.runner);
    if (instance === undefined) return;
    if (event.type === "connected") {
      instances.connected(instance, view?.bootEpochMs ?? 0);
      sessions.settle(instance);
      sessions.vacancy();
    } else if (event.type === "grace-expired") sessions.instanceGone(instance);
  });
  for (const { id, credential } of knownRunners.recent()) {
    registry.expectReturn(id, credential, options.warmUpMs ?? WARM_UP_MS);
  }

  const remember = setInterval(() => {
    const connected = registry.list().filter(({ state }) => state === "connected");
    knownRunners.stillThere(connected.map(({ id }) => id));
  }, REMEMBER_AGAIN_MS);
  remember.unref();
  let stopFollowing = (): void => {};
  let followed: FollowedTls | undefined;
  /** Nothing of it runs on, and the database is closed. */
  function release(): void {
    stopFollowing();
    followed?.stop();
    watch.close();
    spread.close();
    clearInterval(remember);
    registry.close();
    sessions.close();
    bus.close();
    tokens.close();
    database.close();
  }

  tokens.onChange(() => {
    for (const connection of opened) revise(connection, { registry, tokens, log });
    activeStreams.closeRevoked((identity) => {
      const current = tokens.current(identity);
      return current !== undefined && !isNarrowed(current, identity);
    });
  });
  if (options.tokenFile !== undefined) {
    stopFollowing = await followTokenFile(options.tokenFile, tokens, log).catch((error: unknown) => {
      release();
      throw error;
    });
  }

  const admission: AdmissionContext = {
    registry,
    tokens,
    log,
    keepalive: options,
    opened,
    certificates,
    refusals: new RateLimitedLog(log),
    spread,
    watch,
  };
  const targetRoutes = [
    runnerTargets(access),
    ...helixTargetRoutes({
      access,
      instances,
      moonlightCredentials: options.moonlightCredentials,
      policy,
      rate: new StreamRate(),
    }),
  ];
  const app = createApp({
    access,
    activeStreams,
    allowedOrigins,
    basePath,
    bus,
    trustedProxies,
    issuer,
    log,
    metrics,
    owned: { sessions: deleteSessionsOf({ sessions, sessionStore }) },
    ready,
    registry,
    resources: helixResources({
      basePath,
      images,
      instances,
      kick,
      maxSessionsPerUser: options.maxSessionsPerUser,
      policy,
      registry,
      sessions,
      sessionStore,
      tokens,
    }),
    targetRoutes,
    tokens,
  });
  const router = createRouter({
    access,
    activeStreams,
    allowedOrigins,
    app,
    basePath,
    dialer,
    agentEndpoint: new AgentEndpoint({ ...admission, draining, trustedProxies }),
    draining,
    trustedProxies,
    log,
    metrics,
    ownHost: URL.parse(options.agentUrl ?? "")?.hostname,
    responseTimeoutMs: options.responseTimeoutMs,
    routes: new TargetRoutes(basePath, targetRoutes),
    tokens,
    trustsPages,
  });
  if (options.tlsFiles !== undefined) {
    followed = await followTlsFiles(options.tlsFiles, setTls, log).catch((error: unknown) => {
      release();
      throw error;
    });
    tls = followed.tls;
  }
  if (followed !== undefined) certificates.replace(followed.tls);
  const port = createPort(
    {
      ...router,
      reversed: (socket) => {
        if (draining()) return void socket.destroy();
        const carrier = {
          kind: "rh2" as const,
          stream: socket,
          remoteAddress: trustedProxies.address(socket),
        };
        void admit(carrier, { identity: undefined, standby: false }, admission);
      },
    },
    log,
    tls,
    trustedProxies,
  );
  const address = await port
    .listen({ port: options.port ?? 8080, host: options.host })
    .catch((error: unknown) => {
      release();
      throw error;
    });

  function setTls(next: PortTls): void {
    port.setTls(next);
    certificates.replace(next);
    tls = next;
    watch.check();
  }

  function ready(): { ready: boolean; missing: string[] } {
    const wanted = options.readyWhenConnected ?? [];
    const missing = wanted.filter((id) => registry.state(id) !== "connected");
    return { ready: !draining() && missing.length === 0, missing };
  }

  async function dial(...[runner, target, dialOptions]: Parameters<Dial>): Promise<Duplex> {
    if (draining()) {
      throw new TurnaboutError("control_plane_draining", `dial ${runner} ${target}: shutting down`);
    }
    const stream = await dialer.openStream({ runner, target }, dialOptions);
    return new TunnelSocket(stream, `${runner} ${target}`);
  }

  function kick(runnerId: string): boolean {
    return registry.kick(runnerId, { message: "closed by the control plane" }) > 0;
  }

  async function close(): Promise<void> {
    stopFollowing();
    followed?.stop();
    bus.endReaders();
    port.stop();
    const drainMs = options.drainMs ?? DRAIN_DEADLINE_MS;
    const startedAt = performance.now();
    const connections = [...admission.opened];
    const spreadMs = spread.ms;
    const ended = connections.map((connection) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      connection.session.once("close", resolve);
      connection.drain("draining", "the control plane is shutting down", drainMs, spreadMs);
      return promise;
    });
    registry.close();
    sessions.drain();
    await Promise.all(ended);
    // The tunnels have delivered everything; callers may still be reading it.
    await port.idle(drainMs - (performance.now() - startedAt));
    port.destroy();
    release();
  }

  return {
    address,
    port: address.port,
    dial,
    runners: () => registry.list(),
    kick,
    setTls,
    setTokens: (records) => tokens.replace(records, "options"),
    close: () => (closed ??= close()),
    [Symbol.asyncDispose]: () => (closed ??= close()),
  };
}

function countStates(registry: Registry): Record<string, number> {
  const counts: Record<string, number> = { connected: 0, reconnecting: 0, gone: 0 };
  for (const { state } of registry.list()) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

function checkBasePath(basePath: string): string {
  const trimmed = basePath.replace(/\/+$/, "");
  if (trimmed !== "" && !/^(\/[\w.~-]+)+$/.test(trimmed)) {
    throw new TurnaboutError(
      "config_invalid",
      `base path ${JSON.stringify(basePath)}: use /name or /name/name`,
    );
  }
  return trimmed;
}

/** @throws TurnaboutError `config_invalid` */
function pageTrust(patterns: readonly string[]): (destination: Destination) => boolean {
  for (const pattern of patterns) {
    if (/^[a-z0-9_*-]+\.[a-z0-9_*-]+$/.test(pattern)) continue;
    throw new TurnaboutError(
      "config_invalid",
      `trusted pages ${JSON.stringify(pattern)}: use <target>.<runner>, with * for any characters`,
    );
  }
  return (destination) => patterns.some((pattern) => matchesPattern(pattern, formatAuthority(destination)));
}
