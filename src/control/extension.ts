/**
 * How a product is built on the tunnel. An extension brings tables, resources of the API, routes to targets and rules of
 * access, and reaches the control plane through its {@link ExtensionHost} alone. What it needs of the rooms is exported at
 * the end, and for resources of the API by `extension-api.ts`; an extension imports these two files only.
 *
 * The order: the migrations of all extensions run; then each is installed, before runners can connect and before the
 * port is open; on shutdown `settled` is waited for behind the end of all streams, `drain` is called when agents get their
 * GOAWAY, and `close` when all connections have ended, or
 * when a successor has taken over.
 */
import type { Registry as MetricsRegistry } from "prom-client";
import type { Logger } from "../wire/log.ts";
import type { TargetInfo } from "../wire/messages/hello.ts";
import type { Dial } from "../wire/streams/dial.ts";
import type { ApiResource, DeleteOwned } from "./api/resource.ts";
import type { Access, RunnerGroups } from "./auth/access.ts";
import type { ActiveStreams } from "./auth/active-streams.ts";
import type { Identity } from "./auth/identity.ts";
import type { TokenIssuer } from "./auth/issuer.ts";
import type { ExtensionEvent } from "./event-bus.ts";
import type { AuditTrail } from "./history/audit-trail.ts";
import type { TargetRoute } from "./proxy/target-routes.ts";
import type { Registry, RegistryEvent } from "./registry/registry.ts";
import type { ShareBounds, Shares as SharesType } from "./shares/shares.ts";
import type { Migrations } from "./sqlite/migrations.ts";
import type { Store } from "./store/store.ts";

export interface ControlPlaneExtension {
  /** For logs. */
  readonly name: string;
  /** Its own tables, with a version of their own. Default: none. */
  readonly migrations?: Migrations;
  /** Called once for each control plane. What it throws fails the start. */
  install(host: ExtensionHost): ExtensionParts;
}

/** What the control plane offers to an extension. */
export interface ExtensionHost {
  readonly log: Logger;
  /** The control plane's store. Tables of others are not to be touched. */
  readonly store: ExtensionStore;
  /** Further figures in `GET /metrics`. */
  readonly metrics: MetricsRegistry;
  /** Path in front of all routes, usually empty. Routes and resources are given without it. */
  readonly basePath: string;
  /** Origins besides our own whose pages may use the cookie. */
  readonly allowedOrigins: readonly string[];
  /** URL that agents dial, if the options give one. */
  readonly agentUrl: string | undefined;
  /** How long a lost runner may take to come back, in milliseconds; after a start, a runner known before. */
  readonly graceMs: number;
  readonly warmUpMs: number;
  /** Opens a byte stream to a target of a runner. */
  readonly dial: Dial;
  readonly runners: ExtensionRunners;
  readonly tokens: ExtensionTokens;
  /** Grants and the rules of all extensions together. */
  readonly access: Pick<Access, "mayDial">;
  /** What is open: closes it with its credential or its group of runners. */
  readonly activeStreams: Pick<ActiveStreams, "add" | "closeGroup">;
  readonly events: ExtensionEvents;
  /** Acts of administrators, for `GET /api/v1/audit` and the log. A request's `actor` is among its variables. */
  readonly audit: Pick<AuditTrail, "add">;
  /** Places of its own that callers share; refusals are counted in the metrics under the name. */
  createShares(name: string, bounds: Omit<ShareBounds, "onRefused">): SharesType;
}

/** Rows are read at the start and kept in memory: at run time the disk may fail. */
export type ExtensionStore = Pick<
  Store,
  "id" | "isUnsaved" | "onRecreate" | "onReload" | "prepare" | "save" | "settled" | "write"
>;

export interface ExtensionRunners extends Pick<Registry, "kick" | "state" | "view"> {
  /** Whether a connection of the runner takes new streams now. */
  isReachable(runnerId: string): boolean;
  /** The runner is not expected back: after a restart it is not waited for. */
  forget(runnerId: string): void;
}

export interface ExtensionTokens extends Pick<TokenIssuer, "issue" | "list" | "revoke"> {
  /** False if the credential was revoked or has expired since the request was authenticated. */
  isValid(identity: Identity): boolean;
  /** Users with a valid token, of any source. */
  owners(): ReadonlySet<string>;
}

export interface ExtensionEvents {
  /** Runners: connects, losses, replacements. */
  onRunnerEvent(listener: (event: RegistryEvent) => void): void;
  /** To the log, to the metrics, and to the readers of `GET /api/v1/events` who may have it. */
  publish(event: ExtensionEvent): void;
}

/** What an extension adds. */
export interface ExtensionParts {
  /** Routes to targets, behind the control plane's own; of two that match, the first counts. */
  readonly targetRoutes?: readonly TargetRoute[];
  readonly resources?: readonly ApiResource[];
  /** Groups of runners: who may dial them without a grant, and what is closed together. */
  readonly groups?: RunnerGroups;
  /** The one target of a RevDial client that serves this runner; undefined for runners that it does not know. */
  revdialTarget?(runnerId: string): TargetInfo | undefined;
  /** What it keeps for users: deleted with their tokens, and counted by name in that response. */
  readonly owned?: Readonly<Record<string, DeleteOwned>>;
  /** The control plane shuts down: requests that wait for something are refused. */
  drain?(): void;
  /**
   * Resolves when it has ended, at targets, what was closed with its streams. On shutdown the tunnels stay for that, but not for
   * long.
   */
  settled?(): Promise<void>;
  /** Leaves no timer behind. The store is still open, unless a successor has it. */
  close(): void;
}

export type { ApiResource, DeleteOwned } from "./api/resource.ts";
export { requireAdmin } from "./auth/access.ts";
export type { RunnerGroups } from "./auth/access.ts";
export { queryOf, TOKEN_PARAMETER, withoutParameters } from "./auth/authenticate.ts";
export { matchesPattern } from "./auth/identity.ts";
export type { Identity } from "./auth/identity.ts";
export type { ExtensionEvent } from "./event-bus.ts";
export { MAX_NAME_LENGTH, MAX_WAIT_MS } from "./limits.ts";
export type { ResponseAmendment, RoutedJob } from "./proxy/job.ts";
export { preferredWaitMs } from "./fields/prefer.ts";
export { targetJob } from "./proxy/target-routes.ts";
export type { PathParameters, TargetRequest, TargetRoute } from "./proxy/target-routes.ts";
export type { RegistryEvent } from "./registry/registry.ts";
export { credentialHolder } from "./shares/holders.ts";
export { Shares } from "./shares/shares.ts";
export type { Release } from "./shares/shares.ts";
export type { Migrations } from "./sqlite/migrations.ts";
export { choice, integer, json, optionalInteger, optionalText, readRows, text } from "./sqlite/rows.ts";
export type { Row } from "./sqlite/rows.ts";
export type { Statement } from "./sqlite/statement.ts";
