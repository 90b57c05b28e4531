/** What the control plane says of itself for a diagnosis: figures of the process, its options without secrets, recent log lines. */
import { diagnosisOf, shown } from "../wire/diagnosis/diagnosis.ts";
import type { Diagnosis } from "./api/context.ts";
import type { Settings } from "./options.ts";
import type { Parts } from "./parts.ts";

export function createDiagnosis(settings: Settings, parts: Parts): () => Promise<Diagnosis> {
  const { adminToken, log } = settings;
  return diagnosisOf({
    describe: () => ({ configuration: describe(settings), state: stateOf(parts), log: log.lines() }),
    secrets: () => (adminToken === undefined ? [] : [adminToken]),
  });
}

const SHOWN = [
  "port",
  "host",
  "listenFd",
  "basePath",
  "agentUrl",
  "allowedOrigins",
  "trustedPages",
  "graceMs",
  "warmUpMs",
  "responseTimeoutMs",
  "drainMs",
  "pingIntervalMs",
  "pingDeadlineMs",
  "streamsPerCaller",
  "callerStallMs",
  "unreadBytesPerCaller",
  "anonymousPerS",
  "trustedProxies",
  "proxyProtocol",
  "forwardedFields",
  "forwardedPrefix",
  "revdial",
  "readyWhenConnected",
  "dataDirectory",
  "tokenFile",
  "accessLog",
  "tlsFiles",
] as const satisfies readonly (keyof Settings)[];

/** Of a secret only whether it is given. */
function describe(settings: Settings): object {
  return {
    ...shown(settings, SHOWN),
    isTlsGiven: settings.tls !== undefined || settings.tlsFiles !== undefined,
    isAdminCredentialGiven: settings.adminToken !== undefined && settings.adminToken !== "",
    givenCredentials: settings.tokens?.length ?? 0,
    extensions: settings.extensions.map(({ name }) => name),
  };
}

function stateOf(parts: Parts): object {
  const { accessLog, activeStreams, inFlight, openConnections, registry, shares, store } = parts;
  return {
    runners: registry.list().length,
    connections: openConnections.size,
    waitingDials: registry.waitingDials,
    callersStreams: activeStreams.size,
    inFlight: inFlight.size,
    unreadBytes: shares.unread.totalBytes,
    store: store.inspect() ?? "ok",
    unsavedChanges: store.unsaved,
    accessLogDroppedLines: accessLog.droppedLines,
    issuedCredentials: parts.issuer.list().length,
  };
}
