/** Helix's system as an extension of the control plane: sessions on Wolf instances, their sandboxes, Moonlight Web. */
import { createWolfClient, wolfOverTunnel } from "../clients/wolf/client.ts";
import { Guard } from "../wire/streams/guard.ts";
import type { TargetInfo } from "../wire/messages/hello.ts";
import type { Dial } from "../wire/streams/dial.ts";
import type {
  ControlPlaneExtension,
  ExtensionHost,
  ExtensionParts,
  RegistryEvent,
} from "../control/extension.ts";
import { deleteSessionsOf, helixResources } from "./api/resources.ts";
import { instanceOfRunner, runnersOfSession, targetOfRunner, wolfRunner } from "./ids.ts";
import { Instances } from "./instances/instances.ts";
import { MAX_WAITING_CREATIONS, WAITING_CREATIONS_PER_ADMIN, WAITING_CREATIONS_PER_USER } from "./limits.ts";
import { registerHelixMetrics } from "./metrics.ts";
import { OpenedStreams } from "./moonlight/opened-streams.ts";
import { StreamRate } from "./moonlight/stream-rate.ts";
import { parseUserHeader } from "./moonlight/viewer-identity.ts";
import { WebRtcStreams } from "./moonlight/webrtc-streams.ts";
import { helixTargetRoutes } from "./routes.ts";
import { AbandonedSessions } from "./sessions/abandoned-sessions.ts";
import { ImageRules } from "./sessions/images.ts";
import type { Lobbies } from "./sessions/lobbies.ts";
import { Policy } from "./sessions/policy.ts";
import { SandboxAccess } from "./sessions/sandbox-access.ts";
import { Sessions } from "./sessions/sessions.ts";
import type { SessionEvent } from "./sessions/session-event.ts";
import { lobbiesOf } from "./sessions/wolf-lobbies.ts";
import { InstanceStore } from "./store/instances.ts";
import { HELIX_MIGRATIONS } from "./store/migrations.ts";
import { OfferedStreamStore } from "./store/offered-streams.ts";
import { SessionStore } from "./store/sessions.ts";

export interface HelixOptions {
  /** Moonlight Web's shared secret. Without it its routes are refused. */
  moonlightCredentials?: string | undefined;
  /**
   * The field in which Moonlight Web takes a user's name from a proxy (`forwarded_header.username_header`): it gets the viewer's.
   * Default: none, and all viewers are one user.
   */
  moonlightUserHeader?: string | undefined;
  /** Container image of a sandbox where the request names none. Default `turnabout-sandbox:latest`. */
  sandboxImage?: string | undefined;
  /** Images that users may name besides it, as patterns with `*`. Default: none. An admin may name any. */
  allowedImages?: readonly string[] | undefined;
  /** Sessions that a user may have at once. Default: no limit but capacity. An admin may create more. */
  maxSessionsPerUser?: number | undefined;
  /** Sessions end when no token of their owner has been valid for this long. Default: never. */
  abandonedSessionMs?: number | undefined;
  /** Sessions: created, lost, back, ended. */
  onEvent?: ((event: SessionEvent) => void) | undefined;
}

const DEFAULT_SANDBOX_IMAGE = "turnabout-sandbox:latest";

/**
 * @throws TurnaboutError `config_invalid`
 * @example
 * ```ts
 * const controlPlane = await createControlPlane({ port: 8080, adminToken, extensions: [helix()] });
 * ```
 */
export function helix(options: HelixOptions = {}): ControlPlaneExtension {
  const sandboxImage = options.sandboxImage ?? DEFAULT_SANDBOX_IMAGE;
  const images = new ImageRules(sandboxImage, options.allowedImages);
  const moonlightUserHeader =
    options.moonlightUserHeader === undefined ? undefined : parseUserHeader(options.moonlightUserHeader);
  return {
    name: "helix",
    migrations: HELIX_MIGRATIONS,
    install: (host) => install(host, { ...options, moonlightUserHeader, sandboxImage }, images),
  };
}

type InstallOptions = HelixOptions & { sandboxImage: string };

function install(host: ExtensionHost, options: InstallOptions, images: ImageRules): ExtensionParts {
  const { access, activeStreams, allowedOrigins, basePath, dial, log, runners, store, tokens } = host;
  const subscriber = new Guard((error) => log.error({ err: error }, "event subscriber failed"));
  const sessionStore = new SessionStore(store);
  const instances = new Instances(new InstanceStore(store), runners, log);
  const sessions = new Sessions({
    store: sessionStore,
    storeId: store.id,
    instances,
    access: new SandboxAccess({ activeStreams, runners, tokens }),
    lobbies: lobbiesByInstance(dial),
    agentUrl: host.agentUrl,
    defaultImage: options.sandboxImage,
    awaitMs: Math.max(host.graceMs, host.warmUpMs),
    waitingCreations: host.createShares("waiting_creations", {
      what: "session creations that wait",
      perHolder: WAITING_CREATIONS_PER_USER,
      perOperator: WAITING_CREATIONS_PER_ADMIN,
      total: MAX_WAITING_CREATIONS,
    }),
    log,
    onEvent: (event) => {
      host.events.publish(event);
      if (event.type === "session-ended") runnersOfSession(event.session).forEach((id) => runners.forget(id));
      subscriber.run(() => options.onEvent?.(event));
    },
  });
  const policy = new Policy(sessionStore);
  registerHelixMetrics(host.metrics, instances);
  const rate = new StreamRate();
  const { abandonedSessionMs, maxSessionsPerUser, moonlightCredentials, moonlightUserHeader } = options;
  const offered = new OfferedStreamStore(store);
  const streams = new WebRtcStreams({
    activeStreams,
    credentials: moonlightCredentials,
    dial,
    log,
    store: offered,
  });
  host.events.onRunnerEvent((event) => {
    onRunnerEvent(event, { host, instances, sessions });
    if (event.type === "connected") streams.endLeftOver(event.runner);
  });
  const abandoned =
    abandonedSessionMs === undefined
      ? undefined
      : new AbandonedSessions({
          limitMs: abandonedSessionMs,
          owners: () => tokens.owners(),
          store: sessionStore,
          remove: (session) => sessions.remove(session),
          log,
        });
  return {
    groups: policy,
    targetRoutes: helixTargetRoutes({
      access,
      allowedOrigins,
      instances,
      moonlightCredentials,
      moonlightUserHeader,
      opened: new OpenedStreams(),
      policy,
      rate,
      runners,
      streams,
    }),
    resources: helixResources({
      audit: host.audit,
      basePath,
      images,
      instances,
      maxSessionsPerUser,
      policy,
      runners,
      sessions,
      sessionStore,
      store,
      tokens,
    }),
    owned: { sessions: deleteSessionsOf({ sessions, sessionStore }) },
    revdialTarget,
    drain: () => sessions.drain(),
    settled: () => streams.settled(),
    close: () => {
      abandoned?.close();
      sessions.close();
      offered.handOver();
    },
  };
}

interface Reacting {
  host: ExtensionHost;
  instances: Instances;
  sessions: Sessions;
}

/** A Wolf instance registers itself by its runner's connection. */
function onRunnerEvent(event: RegistryEvent, { host, instances, sessions }: Reacting): void {
  const instance = instanceOfRunner(event.runner);
  if (instance === undefined) return;
  if (event.type === "connected") {
    instances.connected(instance, host.runners.view(event.runner)?.bootEpochMs ?? 0);
    sessions.reconcile(instance);
    sessions.capacityChanged();
  } else if (event.type === "grace-expired") sessions.instanceLost(instance);
}

/** One client for each instance. */
function lobbiesByInstance(dial: Dial): (instanceId: string) => Lobbies {
  const known = new Map<string, Lobbies>();
  return (instanceId) => {
    const found = known.get(instanceId);
    if (found !== undefined) return found;
    const lobbies = lobbiesOf(createWolfClient(wolfOverTunnel(dial, wolfRunner(instanceId))));
    known.set(instanceId, lobbies);
    return lobbies;
  };
}

/** Wolf's responses are HTTP/1.0: its requests need a length. */
function revdialTarget(runnerId: string): TargetInfo | undefined {
  const name = targetOfRunner(runnerId);
  return name === undefined ? undefined : { name, http: name === "wolf" ? "1.0" : "auto" };
}
