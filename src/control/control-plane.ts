/** The control plane: puts the parts together and opens the port. */
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { Dial } from "../wire/streams/dial.ts";
import { TurnaboutError } from "../wire/errors.ts";
import { TunnelSocket } from "../wire/streams/tunnel-socket.ts";
import { admit } from "./admission/admission.ts";
import type { AdmissionContext } from "./admission/admission.ts";
import { AgentEndpoint } from "./admission/agent-endpoint.ts";
import { RevDialEndpoint } from "./bridge/revdial-endpoint.ts";
import { createApp } from "./api/app.ts";
import type { TokenRecord } from "./auth/tokens.ts";
import { createDiagnosis } from "./diagnosis.ts";
import type { ClusterParts } from "./cluster/cluster.ts";
import { installCluster } from "./join-cluster.ts";
import { createHost, installExtensions } from "./install-extensions.ts";
import type { InstalledExtensions } from "./install-extensions.ts";
import { createPort } from "./listener/port.ts";
import type { PortHandlers } from "./listener/messages.ts";
import type { Port, PortTls } from "./listener/port.ts";
import { RateLimitedLog } from "./listener/rate-limited-log.ts";
import { refusingPlaintext } from "./listener/refused-requests.ts";
import { checkOptions } from "./options.ts";
import type { ControlPlaneOptions, Settings } from "./options.ts";
import { createParts } from "./parts.ts";
import type { Parts } from "./parts.ts";
import { ARRIVALS_MS } from "./limits.ts";
import { recordedDial } from "./records/recorded-dial.ts";
import { createRouter } from "./router/router.ts";
import { runnerTargets, TargetRoutes } from "./proxy/target-routes.ts";
import { followTokenChanges, rememberRunners, reportEvents } from "./reactions.ts";
import type { RunnerView } from "./registry/registry.ts";
import { followTlsFiles } from "./reload/tls-files.ts";
import { followTokenFile } from "./reload/token-file.ts";
import { release, Shutdown } from "./shutdown.ts";
import type { CloseOptions, Running } from "./shutdown.ts";
import { openStore } from "./store/open-store.ts";
import type { Store } from "./store/store.ts";

export type { ControlPlaneOptions } from "./options.ts";
export type { CloseOptions } from "./shutdown.ts";

export interface ControlPlane extends AsyncDisposable {
  /** Where it listens. An inherited Unix socket has the family `unix` and no port. */
  readonly address: AddressInfo;
  /** 0 on a Unix socket. */
  readonly port: number;
  /** Opens a byte stream to a target of a runner. */
  readonly dial: Dial;
  /** Known runners with their state. */
  runners(): RunnerView[];
  /** Opens the access log's file again, after a log rotation has moved it away. */
  reopenAccessLog(): void;
  /** Closes all connections of a runner. False if it is not connected. */
  kick(runnerId: string): boolean;
  /** New certificates for new connections; open connections stay. */
  setTls(tls: PortTls): void;
  /** Replaces the tokens that were given as options; what a removed one has opened is closed. */
  setTokens(tokens: readonly TokenRecord[]): void;
  /**
   * The listening socket's descriptor, for a successor that is started with it (option `listenFd`). Undefined if it does not
   * listen any more.
   */
  listenFd(): number | undefined;
  /**
   * Drains and ends: what is open finishes until the drain deadline, and everything is served meanwhile, unless there is a
   * successor. Idempotent: the first call counts.
   */
  close(options?: CloseOptions): Promise<void>;
  /**
   * Closes the data directory for another process, which may open it from then on. Until {@link reopenStore} no change can be
   * saved: the API refuses changes with `store_unavailable`. Tunnels are not affected.
   */
  releaseStore(): void;
  /** Opens the data directory again after {@link releaseStore}. @throws TurnaboutError `config_invalid` if another process keeps it, or it cannot be used */
  reopenStore(): Promise<void>;
}

/**
 * Starts a control plane and resolves when it listens.
 *
 * @throws TurnaboutError `config_invalid`, or the listener's own error (EADDRINUSE, …)
 * @example
 * ```ts
 * const controlPlane = await createControlPlane({ port: 8080, adminToken: process.env.TURNABOUT_ADMIN_TOKEN });
 * const socket = await controlPlane.dial("web-1", "http");
 * ```
 */
export async function createControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const settings = checkOptions(options);
  const store = await openStore(
    {
      directory: settings.dataDirectory,
      migrations: settings.extensions.flatMap((extension) => extension.migrations ?? []),
      log: settings.log,
    },
    settings.dataDirectoryWaitMs,
  );
  const parts = partsOn(store, settings);
  const { registry, tokens } = parts;
  const running: Running = {
    extensions: undefined,
    cluster: undefined,
    stops: [],
    stopRemembering: () => {},
  };
  const shutdown = new Shutdown();
  try {
    reportEvents(parts, settings);
    running.stopRemembering = rememberRunners(parts, settings);
    followTokenChanges(parts, settings);
    const host = createHost(settings, parts, dialUnless(shutdown.isEnding, parts));
    const extensions = installExtensions(settings.extensions, host, parts.access);
    running.extensions = extensions;
    if (settings.tokenFile !== undefined) {
      running.stops.push(await followTokenFile(settings.tokenFile, tokens, settings.log));
    }
    let port: Port | undefined;
    const setTls = (tls: PortTls): void => {
      parts.tls.current = tls;
      parts.certificates.replace(tls);
      port?.setTls(tls);
      parts.certificateExpiry.check();
    };
    if (settings.tlsFiles !== undefined) {
      const followed = await followTlsFiles(settings.tlsFiles, setTls, settings.log);
      running.stops.push(() => followed.stop());
      parts.tls.current = followed.tls;
      parts.certificates.replace(followed.tls);
    }
    running.cluster = installCluster(settings, parts, shutdown);
    const all = createHandlers(settings, parts, { extensions, cluster: running.cluster }, shutdown);
    const { plaintext, log } = settings;
    const handlers = plaintext === undefined ? all : refusingPlaintext(all, plaintext, log);
    const { inFlight } = parts;
    const opened = createPort({
      handlers,
      log: settings.log,
      tls: parts.tls.current,
      trustedProxies: settings.proxies,
      inFlight,
      onAccepted: () => parts.shares.turns.arrived(),
    });
    port = opened;
    const address = await opened.listen({ port: settings.port, host: settings.host, fd: settings.listenFd });
    await running.cluster?.start();
    if (settings.listenFd !== undefined) registry.expectArrivals(ARRIVALS_MS);
    const close = (options?: CloseOptions): Promise<void> =>
      shutdown.close({ parts, running, port: opened, settings }, options);
    const dial = dialUnless(() => shutdown.hasBegun, parts);
    return {
      address,
      port: address.port,
      dial: async (...destination) => {
        const stream = await dial(...destination);
        inFlight.add(stream, () =>
          stream.destroy(new TurnaboutError("tunnel_lost", "the control plane has closed")),
        );
        return stream;
      },
      listenFd: () => opened.fd,
      runners: () => registry.list(),
      kick: (runnerId) => registry.kick(runnerId, { message: "closed by the control plane" }) > 0,
      reopenAccessLog: () => parts.accessLog.reopen(),
      setTls,
      setTokens: (records) => tokens.replace(records, "options"),
      releaseStore: () => store.release(),
      reopenStore: () => store.reopen(),
      close,
      [Symbol.asyncDispose]: () => close(),
    };
  } catch (error) {
    release(parts, running);
    await parts.accessLog.close();
    throw error;
  }
}

function partsOn(store: Store, settings: Settings): Parts {
  try {
    return createParts(settings, store);
  } catch (error) {
    store.close();
    throw error;
  }
}

function dialUnless(isClosing: () => boolean, { dialer, ...parts }: Parts): Dial {
  return async (runner, target, options): Promise<Duplex> => {
    if (isClosing()) {
      throw new TurnaboutError(
        "control_plane_draining",
        `dial ${runner} ${target}: the control plane is shutting down`,
      );
    }
    const { early = false, ...more } = options ?? {};
    return recordedDial({ runner, target }, parts, async (record) => {
      if (early) return dialer.openSocket({ runner, target }, { ...more, record });
      const stream = await dialer.openStream({ runner, target }, { ...more, record });
      return "rstCode" in stream ? new TunnelSocket(stream, `${runner} ${target}`) : stream;
    });
  };
}

/** Everything that arrives on the port: requests, upgrades, CONNECT, and agents that speak HTTP/2 as the server. */
function createHandlers(
  settings: Settings,
  parts: Parts,
  { extensions, cluster }: { extensions: InstalledExtensions; cluster: ClusterParts | undefined },
  shutdown: Shutdown,
): PortHandlers {
  const { basePath, log, proxies } = settings;
  const { access, inFlight, registry, shares } = parts;
  const admission: AdmissionContext = {
    ...parts,
    log,
    keepalive: settings,
    refusalLog: new RateLimitedLog(log),
  };
  const shared = {
    ...parts,
    allowedOrigins: settings.allowedOrigins,
    basePath,
    log,
    trustedProxies: proxies,
  };
  const targetRoutes = [runnerTargets(access), ...extensions.targetRoutes];
  const { resources, owned } = extensions;
  const diagnose = createDiagnosis(settings, parts);
  const app = createApp({ ...shared, ready, diagnose, targetRoutes, resources, owned });
  const endpoint = {
    ...admission,
    draining: shutdown.refusesAgents,
    inFlight,
    shares,
    trustedProxies: proxies,
  };
  const agentEndpoint = new AgentEndpoint(endpoint);
  const revdial = { ...endpoint, agentEndpoint, basePath, targetOf: extensions.revdialTarget };
  const router = createRouter({
    ...shared,
    app,
    agentEndpoint,
    peerEndpoint: cluster,
    revdialEndpoint: settings.revdial === false ? undefined : new RevDialEndpoint(revdial),
    draining: shutdown.isEnding,
    ownHost: URL.parse(settings.agentUrl ?? "")?.hostname,
    responseTimeoutMs: settings.responseTimeoutMs,
    routes: new TargetRoutes(basePath, targetRoutes),
    trustsPages: settings.trustsPages,
  });
  return {
    ...router,
    reversed: (socket) => {
      if (shutdown.refusesAgents()) return void socket.destroy();
      const carrier = { kind: "rh2" as const, stream: socket, remoteAddress: proxies.address(socket) };
      void admit(carrier, { identity: undefined, standby: false }, admission);
    },
  };

  function ready(): { ready: boolean; missing: string[] } {
    const missing = settings.readyWhenConnected.filter((id) => registry.state(id) !== "connected");
    missing.push(...[cluster?.missing() ?? []].flat());
    return { ready: !shutdown.hasBegun && missing.length === 0, missing };
  }
}
