/** Installs the extensions and joins what they add. */
import type { TargetInfo } from "../wire/messages/hello.ts";
import type { Dial } from "../wire/streams/dial.ts";
import type { ApiResource, DeleteOwned } from "./api/resource.ts";
import type { ControlPlaneExtension, ExtensionHost, ExtensionParts } from "./extension.ts";
import type { Settings } from "./options.ts";
import type { Parts } from "./parts.ts";
import type { TargetRoute } from "./proxy/target-routes.ts";
import { Shares } from "./shares/shares.ts";

export interface InstalledExtensions {
  targetRoutes: readonly TargetRoute[];
  resources: readonly ApiResource[];
  owned: Readonly<Record<string, DeleteOwned>>;
  /** The one target of a RevDial client that serves this runner. */
  revdialTarget(this: void, runnerId: string): TargetInfo;
  drain(): void;
  settled(): Promise<unknown>;
  close(): void;
}

/** Of a RevDial client whose runner no extension knows. */
const DEFAULT_TARGET: TargetInfo = { name: "default", http: "auto" };

export function installExtensions(
  extensions: readonly ControlPlaneExtension[],
  host: ExtensionHost,
  access: Parts["access"],
): InstalledExtensions {
  const installed: ExtensionParts[] = [];
  let isClosed = false;
  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    for (const parts of installed) parts.close();
  };
  try {
    for (const extension of extensions) {
      const parts = extension.install(host);
      installed.push(parts);
      if (parts.groups !== undefined) access.add(parts.groups);
    }
  } catch (error) {
    close();
    throw error;
  }
  return {
    targetRoutes: installed.flatMap(({ targetRoutes = [] }) => targetRoutes),
    resources: installed.flatMap(({ resources = [] }) => resources),
    owned: Object.assign({}, ...installed.map(({ owned = {} }) => owned)) as Record<string, DeleteOwned>,
    revdialTarget: (runnerId) => {
      for (const parts of installed) {
        const target = parts.revdialTarget?.(runnerId);
        if (target !== undefined) return target;
      }
      return DEFAULT_TARGET;
    },
    drain: () => {
      for (const parts of installed) parts.drain?.();
    },
    settled: () => Promise.allSettled(installed.map(async (parts) => parts.settled?.())),
    close,
  };
}

export function createHost(settings: Settings, parts: Parts, dial: Dial): ExtensionHost {
  const {
    access,
    activeStreams,
    audit,
    bus,
    issuer,
    knownRunners,
    metrics,
    registry,
    signIns,
    store,
    tokens,
  } = parts;
  const { agentUrl, allowedOrigins, basePath, graceMs, log, warmUpMs } = settings;
  return {
    log,
    store,
    metrics: metrics.registry,
    basePath,
    allowedOrigins,
    agentUrl,
    graceMs,
    warmUpMs,
    dial,
    runners: {
      state: (id) => registry.state(id),
      view: (id) => registry.view(id),
      kick: (id, options) => registry.kick(id, options),
      isReachable: (id) => registry.bestConnection(id) !== undefined,
      forget: (id) => knownRunners.forget(id),
    },
    tokens: {
      issue: (request) => issuer.issue(request),
      list: () => issuer.list(),
      revoke: (id) => issuer.revoke(id),
      isValid: (identity) => tokens.current(identity) !== undefined && signIns.isOpen(identity),
      owners: () => tokens.owners(),
    },
    access,
    activeStreams,
    audit,
    events: {
      onRunnerEvent: (listener) => {
        bus.subscribe((event) => {
          if ("runner" in event) listener(event);
        });
      },
      publish: (event) => bus.publish(event),
    },
    createShares: (name, bounds) =>
      new Shares({ ...bounds, onRefused: () => metrics.shareRefusals.inc({ share: name }) }),
  };
}
