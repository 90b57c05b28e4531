/**
 * What an agent says of itself when its control plane requests it: figures of the process, its options, its runners, recent log lines.
 * Neither secrets nor addresses of targets leave the agent.
 */
import { diagnosisOf, shown } from "../wire/diagnosis/diagnosis.ts";
import type { RecentLine } from "../wire/diagnosis/recent-log.ts";
import { MAX_CONTROL_BODY_BYTES } from "../wire/limits.ts";
import type { RunnerInfo } from "../wire/messages/hello.ts";
import type { AgentConfig } from "./config.ts";
import type { AgentMetrics } from "./metrics.ts";
import type { ServedRunner, TargetAddress } from "./targets/targets.ts";
import { readSecret } from "./transport/credentials.ts";

const PROXY_VARIABLES = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] as const;

export interface DiagnosisContext {
  config: AgentConfig;
  metrics: AgentMetrics;
  connections(): number;
  /** Own ones and those that discovery has found. */
  served(): readonly ServedRunner[];
  /** As the control plane knows them. */
  offered(): readonly RunnerInfo[];
  unhealthy(): readonly object[];
}

export function createAgentDiagnosis(context: DiagnosisContext): () => Promise<object> {
  const { config, metrics } = context;
  const diagnose = diagnosisOf({
    describe: async () => ({
      configuration: describe(config),
      state: {
        processId: config.processId,
        connections: context.connections(),
        runners: context.offered(),
        unhealthy: context.unhealthy(),
      },
      metrics: await metrics.registry.metrics(),
      log: config.log.lines().map(withoutAddress),
    }),
    secrets: () => secretsOf(context),
  });
  return async () => bounded({ ...(await diagnose()) });
}

/** The token, and addresses that leave no agent. */
async function secretsOf(context: DiagnosisContext): Promise<string[]> {
  const { docker, runners, token } = context.config;
  const secret = token === undefined ? undefined : await readSecret(token, "token").catch(() => undefined);
  const addresses = [...context.served(), ...runners].flatMap(({ targets }) => targets.map(addressOf));
  return [
    ...(secret === undefined ? [] : [secret]),
    ...addresses,
    ...(docker === undefined ? [] : [textOf(docker)]),
  ];
}

/** Options that are neither secrets nor addresses of targets. */
const SHOWN = [
  "server",
  "carrier",
  "connections",
  "events",
  "drainMs",
  "backoffBaseMs",
  "backoffCapMs",
  "attemptTimeoutMs",
  "standbyDelayMs",
  "serverName",
  "insecure",
  "discoverHostNetwork",
] as const satisfies readonly (keyof AgentConfig)[];

/** Of a secret and of an address only whether it is given. */
function describe(config: AgentConfig): object {
  return {
    ...shown(config, SHOWN),
    runners: config.runners.map(({ id, targets }) => ({
      id,
      targets: targets.map(({ name, address, http, rewrite }) => ({
        name,
        http,
        rewrite,
        reachedBy: address.kind,
      })),
    })),
    isCaGiven: config.caFile !== undefined,
    isCertificateGiven: config.certFile !== undefined,
    isCredentialGiven: config.token !== undefined,
    hasDocker: config.docker !== undefined,
    listeners: config.listen.length,
    proxyVariables: PROXY_VARIABLES.filter((name) =>
      [name, name.toLowerCase()].some((each) => (process.env[each] ?? "") !== ""),
    ),
  };
}

/** What is large is left out, where the whole would be refused. */
function bounded(diagnosis: Record<string, unknown>): object {
  for (const part of ["metrics", "log", "state"]) {
    if (Buffer.byteLength(JSON.stringify(diagnosis)) <= MAX_CONTROL_BODY_BYTES) break;
    diagnosis[part] = "left out: too large";
  }
  return diagnosis;
}

/** Also that of a target which is no longer served. */
function withoutAddress(line: RecentLine): RecentLine {
  const { fields } = line;
  if (typeof fields !== "object" || fields === null || !("address" in fields)) return line;
  return { ...line, fields: { ...fields, address: "[redacted]" } };
}

function addressOf({ address }: { address: TargetAddress }): string {
  return textOf(address);
}

function textOf(address: TargetAddress): string {
  if (address.kind === "unix") return address.path;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
