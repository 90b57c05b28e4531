/** What the resources of the API share: their Hono environment, and the parts of the control plane that they use. */
import type { HttpBindings, Http2Bindings } from "@hono/node-server";
import type { Logger } from "../../wire/log.ts";
import type { Tracing } from "../../wire/trace/tracing.ts";
import type { Access } from "../auth/access.ts";
import type { ActiveStreams } from "../auth/active-streams.ts";
import type { CookiePolicy } from "../auth/authenticate.ts";
import type { SignIns } from "../auth/sign-ins.ts";
import type { Identity } from "../auth/identity.ts";
import type { TokenIssuer } from "../auth/issuer.ts";
import type { TokenStore } from "../auth/tokens.ts";
import type { InFlight } from "../in-flight/in-flight.ts";
import type { EventBus } from "../event-bus.ts";
import type { AuditActor, AuditTrail } from "../history/audit-trail.ts";
import type { History } from "../history/history.ts";
import type { RunnerHistory } from "../history/runner-history.ts";
import type { ControlMetrics } from "../metrics.ts";
import type { TargetRoute } from "../proxy/target-routes.ts";
import type { AccessLog } from "../records/access-log.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import type { Registry } from "../registry/registry.ts";
import type { FairShares } from "../shares/fair-shares.ts";
import type { Store } from "../store/store.ts";
import type { ApiResource, DeleteOwned } from "./resource.ts";
import type { TrustedProxies } from "../trusted-proxies/trusted-proxies.ts";

export interface AppEnv {
  Bindings: HttpBindings | Http2Bindings;
  Variables: { identity: Identity; actor: AuditActor };
}

/** Without secrets. */
export interface Diagnosis {
  process: object;
  configuration: object;
  state: object;
  log: object[];
}

export interface AppContext extends CookiePolicy {
  registry: Registry;
  tokens: TokenStore;
  issuer: TokenIssuer;
  signIns: SignIns;
  access: Access;
  audit: AuditTrail;
  history: History;
  runnerHistory: RunnerHistory;
  /** Of agents. */
  openConnections: ReadonlySet<AgentConnection>;
  accessLog: Pick<AccessLog, "recent" | "subscribe">;
  bus: EventBus;
  store: Pick<Store, "inspect" | "settled">;
  activeStreams: ActiveStreams;
  inFlight: InFlight;
  metrics: ControlMetrics;
  shares: Pick<FairShares, "accessReaders" | "anonymous" | "eventReaders" | "largeBodies" | "unread">;
  log: Logger;
  tracing: Tracing | undefined;
  /** Of the control plane itself. */
  diagnose: () => Promise<Diagnosis>;
  ready: () => { ready: boolean; missing: string[] };
  trustedProxies: TrustedProxies;
  basePath: string;
  /** For the document; the router serves them. */
  targetRoutes: readonly TargetRoute[];
  /** Of extensions. */
  resources: readonly ApiResource[];
  /** What extensions keep for users, by its name in the response that revokes a user's tokens. */
  owned: Readonly<Record<string, DeleteOwned>>;
}
