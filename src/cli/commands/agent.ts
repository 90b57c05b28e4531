/** `turnabout agent`: connects to a control plane and serves named targets. */
import { createAgent } from "../../agent/agent.ts";
import { StartChecks } from "../../agent/check/start-checks.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { AGENT_OPTIONS } from "../config/agent-options.ts";
import { gather } from "../config/load.ts";
import { helpOf, SOURCES_HELP } from "../config/option.ts";
import { reportUnknownVariables } from "../config/unknown-variables.ts";
import { runUntilSignal } from "../lifecycle.ts";
import { returnStartMemory } from "../memory-return.ts";
import { createLogger, logFormat } from "../logger.ts";
import { startTelemetry } from "../../telemetry/exporter.ts";
import { asUsageError } from "../options.ts";
import { startWatchdog, watchdogLimit } from "../watchdog/watchdog.ts";
import { agentOptions, allowedAbsence, requiredToken, runnersOf, usableToken } from "./agent-inputs.ts";
import { warnOfOpenSecrets } from "./secret-files.ts";

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

export const agent: Command = {
  name: "turnabout agent",
  summary: "connect to a control plane and serve named targets",
  help: HELP,
  hasLog: true,
  async run(args) {
    const gathered = await gather("agent", AGENT_OPTIONS, args);
    const { given } = gathered;
    const server = given.text("server");
    if (server === undefined) throw new UsageError("no control plane given", "give --server URL");
    const limitMs = watchdogLimit(given.seconds("watchdog"));
    const log = createLogger({ level: given.text("log-level"), format: given.text("log-format") });
    await reportUnknownVariables(process.env, log);
    const parsed = asUsageError(this.name, () => {
      const runners = runnersOf(gathered, allowedAbsence(given));
      return {
        ...agentOptions(given),
        server,
        runners,
        token: requiredToken(given, runners.length === 0),
        log,
      };
    });
    const options = { ...parsed, token: await usableToken(parsed) };
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
