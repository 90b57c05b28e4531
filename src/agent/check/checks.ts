/**
 * The checks of an agent's configuration and way: what depends on nothing runs at once, and the rest as soon as what it needs
 * has been seen to work. Nothing is registered, and nothing waits without a limit.
 */
import dns from "node:dns/promises";
import { CARRIER_KINDS } from "../../wire/session/carrier.ts";
import { MAX_ENDPOINT_RUNNERS } from "../limits.ts";
import { endpointUrl, socketPathOf, zoneOf } from "../transport/server-url.ts";
import { probeCarriers, reportCarriers } from "./path/carriers.ts";
import { runnerIds } from "./context.ts";
import type { CheckContext, CheckOptions, Lookup } from "./context.ts";
import { askControlPlane, judgeByCarriers, judgeToken } from "./path/credential.ts";
import { isOurs, judgeEndpoint } from "./path/endpoint.ts";
import { checkCertificateFiles, checkToken } from "./files.ts";
import { Findings } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { CHECK_TIMEOUT_MS } from "./limits.ts";
import { checkDocker, checkRelay } from "./local-parts.ts";
import { checkPort } from "./path/port.ts";
import { checkReach } from "./path/reach.ts";
import { checkTargets } from "./targets.ts";

export interface RunOptions {
  /** Ends it earlier. */
  signal?: AbortSignal | undefined;
  /**
   * Of an agent that runs: what its connection has proved is left out (carriers, credential), and its relay. Default: all.
   */
  isConnected?: boolean;
  /** Only what is on this machine, or only the path to the control plane with its files. Default: both. */
  parts?: "machine" | "path" | undefined;
  /** An agent that runs listens itself. Default true. */
  withRelay?: boolean;
  /** The longest that any step may take, in milliseconds. Default: each has a limit of its own. */
  maxStepMs?: number | undefined;
  /** Default: that of the system. */
  lookup?: Lookup;
  now?: () => number;
}

/** @throws TurnaboutError `config_invalid` for a server URL that is not valid */
export async function runChecks(options: CheckOptions, run: RunOptions = {}): Promise<Finding[]> {
  const { isConnected = false, withRelay = true, lookup = systemLookup, now = Date.now } = run;
  const limits = [AbortSignal.timeout(CHECK_TIMEOUT_MS), ...(run.signal === undefined ? [] : [run.signal])];
  const context: CheckContext = {
    options,
    url: endpointUrl(options.server, runnerIds(options).slice(0, MAX_ENDPOINT_RUNNERS)),
    zone: zoneOf(options.server),
    socketPath: socketPathOf(options.server),
    findings: new Findings(),
    signal: AbortSignal.any(limits),
    maxStepMs: run.maxStepMs ?? Infinity,
    lookup,
    now,
  };
  const path =
    run.parts === "machine" ? [] : [checkPath(context, isConnected), checkCertificateFiles(context)];
  const machine =
    run.parts === "path"
      ? []
      : [checkTargets(context), checkDocker(context), withRelay ? checkRelay(context) : undefined];
  await Promise.all([...path, ...machine]);
  return context.findings.all();
}

const NOT_OURS = "no token is sent to a port that is not the control plane's";

async function checkPath(context: CheckContext, isConnected: boolean): Promise<void> {
  const { findings } = context;
  // The token is read first, so that no finding has it.
  const token = await checkToken(context);
  if (!(await checkReach(context))) {
    for (const check of ["tls", "endpoint", "clock"] as const)
      findings.skip(check, "", "no connection to the port");
    return skipCarriers(context, "no connection to the port");
  }
  const { http, isUsable } = await checkPort(context);
  if (isConnected) {
    if (http !== undefined) await judgeEndpoint(context, http, true);
    return undefined;
  }
  if (!isUsable) {
    if (http !== undefined) await judgeEndpoint(context, http, false);
    return skipCarriers(context, NOT_OURS);
  }
  const { options } = context;
  const hasCertificate = options.certFile !== undefined;
  if (token === undefined && !hasCertificate) {
    if (http !== undefined) await judgeEndpoint(context, http, false);
    return skipCarriers(context, options.token === undefined ? "no token is given" : "no token can be sent");
  }
  if (http !== undefined && !(await isOurs(context, http))) {
    await judgeEndpoint(context, http, false);
    return skipCarriers(context, `${NOT_OURS}: see endpoint`);
  }
  const [carriers, judgement] = await Promise.all([
    probeCarriers(context, token),
    token === undefined ? undefined : askControlPlane(context, token),
  ]);
  const isPassed = carriers.some(({ works }) => works !== undefined);
  if (http !== undefined) await judgeEndpoint(context, http, isPassed);
  reportCarriers(context, carriers);
  if (token === undefined) judgeByCarriers(context, carriers);
  else judgeToken(context, judgement, carriers);
}

function skipCarriers({ findings }: CheckContext, why: string): void {
  for (const kind of CARRIER_KINDS) findings.skip("carrier", kind, why);
  findings.skip("token", "", why);
}

async function systemLookup(host: string): Promise<{ address: string; family: number }[]> {
  return dns.lookup(host, { all: true });
}
