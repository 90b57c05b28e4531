/** `turnabout agent`: connects to a control plane and serves named targets. */
import { createAgent } from "../../agent/agent.ts";
import type { CarrierChoice } from "../../agent/carriers/auto.ts";
import type { AgentOptions } from "../../agent/config.ts";
import { StartChecks } from "../../agent/check/start-checks.ts";
import type { Secret } from "../../agent/transport/credentials.ts";
import { CARRIER_KINDS } from "../../wire/session/carrier.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { AGENT_OPTIONS } from "../config/agent-options.ts";
import type { AgentOption } from "../config/agent-options.ts";
import { chooseRunners } from "../config/agent-runners.ts";
import type { Given } from "../config/given.ts";
import { gather } from "../config/load.ts";
import { warnOfOpenSecrets } from "../config/secret-files.ts";
import { helpOf, SOURCES_HELP } from "../config/option.ts";
import { runUntilSignal } from "../lifecycle.ts";
import { returnStartMemory } from "../memory-return.ts";
import { createLogger, logFormat } from "../logger.ts";
import { startTelemetry } from "../../telemetry/exporter.ts";
import { asUsageError } from "../options.ts";
import { startWatchdog, watchdogLimit } from "../watchdog/watchdog.ts";

const HELP = `
usage: turnabout agent --server URL --runner ID --target NAME=ADDRESS [OPTIONS]
       turnabout agent --server URL --listen ADDRESS [OPTIONS]

Connects to the control plane and serves the named targets. Nothing else can be reached through it.

${helpOf(AGENT_OPTIONS)}

${SOURCES_HELP}

environment:
  TURNABOUT_TOKEN             bearer token, instead of --token-file
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY   outbound proxy: http://, https:// or socks5://[user:password@]host[:port]
  NO_PROXY                    hosts to connect to directly: names, addresses, CIDR blocks, *
`;

const CARRIERS: readonly string[] = ["auto", ...CARRIER_KINDS];

export const agent: Command = {
  name: "turnabout agent",
  summary: "connect to a control plane and serve named targets",
  help: HELP,
  async run(args) {
    const { given, flags, runners: fileRunners } = await gather("agent", AGENT_OPTIONS, args);
    const server = given.text("server");
    if (server === undefined) throw new UsageError("no control plane given", "give --server URL");
    const limitMs = watchdogLimit(given.seconds("watchdog"));
    const log = createLogger({ level: given.text("log-level"), format: given.text("log-format") });
    const options = asUsageError(this.name, () => {
      const runners = chooseRunners(
        { given: flags.given, env: process.env, file: fileRunners },
        allowedAbsence(given),
      );
      return { ...agentOptions(given), server, runners, token: findToken(given, runners.length === 0), log };
    });
    const telemetry = await startTelemetry({ service: "turnabout-agent", log });
    const checks = new StartChecks({ options, log });
    const { onEvent } = checks;
    const running = asUsageError(this.name, () =>
      createAgent({ ...options, onEvent, tracing: telemetry?.tracing }),
    );
    warnOfOpenSecrets([given.text("token-file"), given.text("key")], log);
    if (given.isOn("insecure") === true) {
      log.warn(
        {},
        "--insecure: the control plane's certificate is NOT checked; anyone on the path can impersonate it",
      );
    }
    await running.listening().catch(async (error: unknown) => {
      await running.close();
      throw error;
    });
    startWatchdog({ limitMs, format: logFormat(given.text("log-format")), log });
    returnStartMemory();
    await runUntilSignal(log, async () => {
      checks.close();
      await running.close();
      await telemetry?.close();
    });
  },
};

type GivenToAgent = Given<AgentOption>;

/** A relay needs no runner, and containers announce targets of their own. */
export function allowedAbsence(given: GivenToAgent): { noRunner: boolean; noTarget: boolean } {
  const docker = given.isGiven("docker");
  return { noRunner: given.isGiven("listen") && !docker, noTarget: docker };
}

/** Without its runners, its token and its log. @throws UsageError */
export function agentOptions(given: GivenToAgent): Omit<AgentOptions, "server" | "runners"> {
  return {
    docker: given.text("docker"),
    discoverHostNetwork: given.isOn("discover-host-network"),
    listen: given.list("listen") ?? [],
    carrier: parseCarrier(given.text("carrier") ?? "auto"),
    connections: given.count("connections"),
    caFile: given.text("ca"),
    certFile: given.text("cert"),
    keyFile: given.text("key"),
    serverName: given.text("server-name"),
    insecure: given.isOn("insecure"),
    drainMs: given.seconds("drain"),
    backoffCapMs: given.seconds("backoff-cap"),
  };
}

/** Undefined where none is given. The variable is removed: it is not for the programs that a command starts. */
export function givenToken(given: GivenToAgent): Secret | undefined {
  const file = given.text("token-file");
  const fromEnvironment = process.env["TURNABOUT_TOKEN"];
  delete process.env["TURNABOUT_TOKEN"];
  if (file !== undefined) return { file };
  return fromEnvironment === undefined || fromEnvironment === "" ? undefined : { value: fromEnvironment };
}

function findToken(given: GivenToAgent, isRelay: boolean): Secret | undefined {
  const token = givenToken(given);
  if (token !== undefined) return token;
  if (isRelay || given.isGiven("cert")) return undefined;
  throw new UsageError(
    "no token given",
    "give --token-file FILE, set TURNABOUT_TOKEN, or use --cert and --key with rh2",
  );
}

export function parseCarrier(value: string): CarrierChoice {
  if (CARRIERS.includes(value)) return value as CarrierChoice;
  throw new UsageError(`--carrier ${value}: unknown carrier`, `use one of ${CARRIERS.join(", ")}`);
}
