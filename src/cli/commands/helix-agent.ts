/** Shared by the two Helix commands: an agent with one runner and one target, which is named by the runner's prefix. */
import { createAgent } from "../../agent/agent.ts";
import { StartChecks } from "../../agent/check/start-checks.ts";
import type { Secret } from "../../agent/transport/credentials.ts";
import { defaultHttp, parseTargetAddress } from "../../agent/targets/targets.ts";
import { targetOfRunner } from "../../helix/ids.ts";
import { hideArguments, runUntilSignal } from "../lifecycle.ts";
import { createLogger, logFormat } from "../logger.ts";
import { returnStartMemory } from "../memory-return.ts";
import { asUsageError } from "../options.ts";
import { startWatchdog, watchdogLimit } from "../watchdog/watchdog.ts";
import { parseCarrier, usableToken } from "./agent-inputs.ts";

export interface HelixAgentOptions {
  title: string;
  server: string;
  runnerId: string;
  token: Secret;
  local: string;
  carrier: string | undefined;
  caFile: string | undefined;
  insecure: boolean;
  backoffCapMs?: number | undefined;
  /** Milliseconds; undefined: the default, 0: no watchdog. */
  watchdogMs: number | undefined;
  logLevel: string | undefined;
  logFormat: string | undefined;
}

/** As on a RevDial client of this runner: moving from one to the other changes no name. */
function helixTargetName(runnerId: string): string {
  return targetOfRunner(runnerId) ?? "default";
}

export async function runHelixAgent(options: HelixAgentOptions): Promise<void> {
  hideArguments(options.title); // they include the token
  const limitMs = watchdogLimit(options.watchdogMs);
  const log = createLogger({ level: options.logLevel, format: options.logFormat });
  const name = helixTargetName(options.runnerId);
  const parsed = asUsageError(options.title, () => {
    const target = { name, address: parseTargetAddress(options.local), http: defaultHttp(name) };
    return {
      server: options.server,
      runners: [{ id: options.runnerId, targets: [target] }],
      token: options.token,
      carrier: parseCarrier(options.carrier ?? "auto"),
      caFile: options.caFile,
      insecure: options.insecure,
      backoffCapMs: options.backoffCapMs,
      log,
    };
  });
  const agentOptions = { ...parsed, token: await usableToken(parsed) };
  const checks = new StartChecks({ options: agentOptions, log });
  const agent = asUsageError(options.title, () => createAgent({ ...agentOptions, onEvent: checks.onEvent }));
  if (options.insecure) log.warn({}, "-insecure: the control plane's certificate is NOT checked");
  startWatchdog({ limitMs, format: logFormat(options.logFormat), log });
  returnStartMemory();
  await runUntilSignal(log, () => {
    checks.close();
    return agent.close();
  });
}
