/** What the control plane says of itself for a diagnosis: figures of the process, its options without secrets, recent log lines. */
import { oneAtATime, processFigures } from "../wire/diagnosis/process-figures.ts";
import { scrubJson } from "../wire/diagnosis/scrub.ts";
import type { Diagnosis } from "./api/context.ts";
import type { Settings } from "./options.ts";
import type { Parts } from "./parts.ts";

export function createDiagnosis(settings: Settings, parts: Parts): () => Promise<Diagnosis> {
  return oneAtATime(async () => {
    const process = await processFigures();
    const diagnosis: Diagnosis = {
      process,
      configuration: describe(settings),
      state: stateOf(parts),
      log: settings.recentLog.lines(),
    };
    const secrets = settings.adminToken === undefined ? [] : [settings.adminToken];
    return scrubJson(diagnosis, secrets) as Diagnosis;
  });
}

/** Options that are no secrets. One that is added later is in here only when someone has thought about it. */
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
    ...Object.fromEntries(SHOWN.map((name) => [name, settings[name]])),
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
