/** What a control plane consists of, before its port is open. */
import { AgentBudgets } from "./admission/agent-budgets.ts";
import { CertificateExpiry } from "./admission/certificate-expiry.ts";
import { ReconnectSpread } from "./admission/reconnect-spread.ts";
import { notifyReplaced } from "./admission/agent-notices.ts";
import { Access } from "./auth/access.ts";
import { ActiveStreams } from "./auth/active-streams.ts";
import { ClientCertificates } from "./auth/client-certificates.ts";
import { TokenIssuer } from "./auth/issuer.ts";
import { SignIns } from "./auth/sign-ins.ts";
import { TokenStore } from "./auth/tokens.ts";
import { EventBus } from "./event-bus.ts";
import type { PortTls } from "./listener/port.ts";
import { RequestFigures } from "./figures/request-figures.ts";
import { AuditTrail } from "./history/audit-trail.ts";
import { History } from "./history/history.ts";
import { RunnerHistory } from "./history/runner-history.ts";
import { InFlight } from "./in-flight/in-flight.ts";
import { createControlMetrics } from "./metrics.ts";
import type { Tracing } from "../wire/trace/tracing.ts";
import type { ControlMetrics } from "./metrics.ts";
import type { Settings } from "./options.ts";
import { AccessLog } from "./records/access-log.ts";
import type { AgentConnection } from "./registry/agent-connection.ts";
import { Dialer } from "./registry/dialer.ts";
import { Registry } from "./registry/registry.ts";
import type { RunnerView } from "./registry/registry.ts";
import type { RunnerState } from "./registry/entries.ts";
import { TunnelFigures } from "./registry/tunnel-figures.ts";
import { certificateExpiries } from "./reload/tls-files.ts";
import { createFairShares } from "./shares/fair-shares.ts";
import type { FairShares } from "./shares/fair-shares.ts";
import { RefusalLog } from "./shares/refusal-log.ts";
import { KnownRunnerStore } from "./store/known-runners.ts";
import type { Store } from "./store/store.ts";
import { IssuedTokenStore } from "./store/tokens.ts";

export interface Parts {
  readonly accessLog: AccessLog;
  readonly audit: AuditTrail;
  readonly history: History;
  readonly runnerHistory: RunnerHistory;
  readonly tracing: Tracing | undefined;
  readonly store: Store;
  readonly knownRunners: KnownRunnerStore;
  readonly tokens: TokenStore;
  readonly issuer: TokenIssuer;
  readonly signIns: SignIns;
  readonly access: Access;
  readonly activeStreams: ActiveStreams;
  readonly inFlight: InFlight;
  readonly bus: EventBus;
  readonly certificates: ClientCertificates;
  /** Every admitted connection until it closes, also one that no longer serves a runner. */
  readonly openConnections: Set<AgentConnection>;
  readonly tunnelFigures: TunnelFigures;
  readonly certificateExpiry: CertificateExpiry;
  readonly reconnectSpread: ReconnectSpread;
  readonly agentBudgets: AgentBudgets;
  readonly registry: Registry;
  readonly metrics: ControlMetrics;
  readonly dialer: Dialer;
  readonly shares: FairShares;
  readonly refusalLog: RefusalLog;
  /** Set where the port speaks TLS. */
  readonly tls: { current: PortTls | undefined };
}

/** A runner of these states is not expected to serve again. */
const GONE: ReadonlySet<RunnerState> = new Set(["gone", "never-seen"]);

/** @throws TurnaboutError `config_invalid` */
export function createParts({ log, ...settings }: Settings, store: Store): Parts {
  const certificates = new ClientCertificates();
  if (settings.tls !== undefined) certificates.replace(settings.tls);
  const tls = { current: settings.tls };
  const onFailure = (error: Error): void => log.error({ err: error }, "event subscriber failed");
  const tokens = new TokenStore(settings.adminToken, settings.tokens, onFailure);
  const requests = new RequestFigures((id) => GONE.has(registry.state(id)));
  const accessLog = new AccessLog(settings.accessLog, log, (record) => {
    requests.add(record);
    history.add(record);
    if (record.code === "not_allowed") tokens.refused.add("not-allowed");
  });
  const bus = new EventBus(onFailure);
  const openConnections = new Set<AgentConnection>();
  const tunnelFigures = new TunnelFigures(openConnections);
  const shares = createFairShares(settings, {
    onRefused: (share) => metrics.shareRefusals.inc({ share }),
    onStop: (reason) => metrics.callersStopped.inc({ reason }),
  });
  const agentBudgets = new AgentBudgets(log);
  const runnerHistory = new RunnerHistory();
  const registry = new Registry({
    graceMs: settings.graceMs,
    unknownRunners: shares.unknownRunners,
    isFull: (caller) => shares.unread.isFull(caller),
    onShareRefused: (share) => metrics.shareRefusals.inc({ share }),
    onEvent: (event, connection) => {
      runnerHistory.add(event, connection);
      history.count(event.type);
      bus.publish(event);
    },
    onReplaced: (connection, runnerId) => {
      notifyReplaced(connection, runnerId, agentBudgets.of(connection.identity.id), log);
    },
    onFailure,
  });
  const metrics: ControlMetrics = createControlMetrics({
    unreadBytes: () => shares.unread.totalBytes,
    connections: () => registry.connections().size,
    runners: () => countStates(registry),
    waitingDials: () => registry.waitingDials,
    certificateExpiries: () => certificateExpiries(tls.current),
    accessLogDropped: () => accessLog.droppedLines,
    storeWritable: () => store.inspect() === undefined,
    unsavedChanges: () => store.unsaved,
    store: store.commits,
    requests,
    isUp: (runner, target) => isUp(registry.view(runner), target),
    targets: () => countTargets(registry),
    refusedCredentials: () => tokens.refused.counts,
    tunnels: tunnelFigures,
    streams: () => sumOf(registry.connections(), ({ openStreams }) => openStreams),
  });
  const activeStreams = new ActiveStreams(shares.openStreams);
  const issued = new IssuedTokenStore(store);
  closeGroupsWithSuccessor(store, issued, activeStreams); // before the issuer reads the tokens anew
  const issuer = new TokenIssuer(issued, tokens);
  const history = new History({
    streams: () => sumOf(openConnections, ({ openStreams }) => openStreams),
    waitingDials: () => registry.waitingDials,
    runners: () => new Set([...openConnections].flatMap(({ runners }) => [...runners.keys()])).size,
    tunnelBytes: () => Object.values(tunnelFigures.bytes()).reduce((sum, bytes) => sum + bytes, 0),
  });
  return {
    accessLog,
    audit: new AuditTrail(log),
    history,
    runnerHistory,
    tracing: settings.tracing,
    store,
    knownRunners: new KnownRunnerStore(store),
    tokens,
    issuer,
    signIns: new SignIns(tokens, shares.signIns),
    access: new Access(),
    activeStreams,
    inFlight: new InFlight(),
    bus,
    certificates,
    openConnections,
    tunnelFigures,
    certificateExpiry: new CertificateExpiry(openConnections, certificates, log),
    reconnectSpread: new ReconnectSpread(openConnections, log),
    agentBudgets,
    registry,
    metrics,
    dialer: new Dialer(registry, metrics, shares.turns),
    shares,
    refusalLog: new RefusalLog(log),
    tls,
  };
}

/** After a hand-over: a group whose last token the successor has taken away was closed there, and is closed here. */
function closeGroupsWithSuccessor(
  store: Store,
  issued: Pick<IssuedTokenStore, "list">,
  activeStreams: ActiveStreams,
): void {
  const groups = (): Set<string> => new Set(issued.list().flatMap(({ group }) => group ?? []));
  store.successor.onChange(() => {
    const before = groups();
    return () => {
      for (const group of before.difference(groups())) activeStreams.closeGroup(group, "it has been closed");
    };
  });
}

function sumOf(
  connections: ReadonlySet<AgentConnection>,
  read: (connection: AgentConnection) => number,
): number {
  let sum = 0;
  for (const connection of connections) sum += read(connection);
  return sum;
}

function countStates(registry: Registry): Record<string, number> {
  const counts: Record<string, number> = { connected: 0, reconnecting: 0, gone: 0 };
  for (const { state } of registry.list()) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

function countTargets(registry: Registry): Record<string, number> {
  const counts = { up: 0, down: 0, offline: 0 };
  for (const { state, info, unhealthy } of registry.list()) {
    const { length } = info?.targets ?? [];
    if (state === "connected") {
      counts.up += length - unhealthy.size;
      counts.down += unhealthy.size;
    } else counts.offline += length;
  }
  return counts;
}

function isUp(view: RunnerView | undefined, target: string): boolean {
  return view?.state === "connected" && !view.unhealthy.has(target);
}
