/** `turnabout agent`: connects to a control plane and serves named targets. */
import { parseArgs } from "node:util";
import { createAgent } from "../../agent/agent.ts";
import type { CarrierChoice } from "../../agent/carriers/auto.ts";
import type { Secret } from "../../agent/transport/credentials.ts";
import { CARRIER_KINDS } from "../../wire/session/carrier.ts";
import { parseTarget } from "../../agent/targets/targets.ts";
import type { Runner } from "../../agent/targets/targets.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { runUntilSignal } from "../lifecycle.ts";
import { createLogger, LOG_HELP, logFormat } from "../logger.ts";
import { parseCount, parseSeconds, asUsageError } from "../options.ts";
import { startWatchdog, WATCHDOG_HELP, watchdogLimit } from "../watchdog/watchdog.ts";

const HELP = `
usage: turnabout agent --server URL --runner ID --target NAME=ADDRESS [OPTIONS]
       turnabout agent --server URL --listen ADDRESS [OPTIONS]

Connects to the control plane and serves the named targets. Nothing else can be reached through it.

  --server URL            control plane: http(s)://HOST[:PORT][/BASE], or a relay: unix:/PATH
  --runner ID             runner to register; may be repeated, each followed by its own targets
  --target NAME=ADDRESS   unix:/path or host:port; may be repeated. Options that may follow ADDRESS:
                            ;http=1.0          the target rejects chunked bodies (default for a target named wolf)
                            ;http=2            it speaks HTTP/2 without TLS, such as gRPC
                            ;host=HOST[:PORT]  the Host of its requests; default localhost
                            ;rewrite=off       do not rewrite the addresses in its redirects
  --docker URL            Docker Engine whose labelled containers are announced while they run:
                          unix:///var/run/docker.sock or tcp://HOST:PORT. A runner then needs no target
  --discover-host-network
                          also announce containers in the host's network, whose labels can name any port of this host
  --listen ADDRESS        act as a relay: listen on unix:/PATH[;mode=0660] or HOST:PORT for agents that cannot reach
                          the control plane; may be repeated
  --token-file FILE       file with the bearer token in plain text (not the JSON file of hashes that serve takes),
                          read again at every attempt
  --carrier KIND          auto (default), rh2, ptth, websocket or h2
  --connections N         connections to the control plane; default 2
  --ca FILE               CA of the control plane's certificate, in addition to the system's
  --cert FILE --key FILE  client certificate for rh2
  --server-name NAME      name in the control plane's certificate, if it is not the URL's host
  --insecure              accept any certificate (never in production)
  --drain SECONDS         how long open streams may take to finish after SIGTERM; default 30
  --backoff-cap SECONDS   longest pause between attempts; default 8
${WATCHDOG_HELP}
${LOG_HELP}

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
    const { values, tokens } = parseArgs({
      args,
      tokens: true,
      options: {
        server: { type: "string" },
        runner: { type: "string", multiple: true },
        target: { type: "string", multiple: true },
        docker: { type: "string" },
        "discover-host-network": { type: "boolean" },
        listen: { type: "string", multiple: true },
        "token-file": { type: "string" },
        carrier: { type: "string", default: "auto" },
        connections: { type: "string" },
        ca: { type: "string" },
        cert: { type: "string" },
        key: { type: "string" },
        "server-name": { type: "string" },
        insecure: { type: "boolean" },
        drain: { type: "string" },
        "backoff-cap": { type: "string" },
        watchdog: { type: "string" },
        "log-level": { type: "string" },
        "log-format": { type: "string" },
      },
    });
    const { server } = values;
    if (server === undefined) throw new UsageError("no control plane given", "give --server URL");
    const limitMs = watchdogLimit(parseSeconds(values.watchdog, "--watchdog"));
    const log = createLogger({ level: values["log-level"], format: values["log-format"] });
    const listen = values.listen ?? [];
    const allow = {
      noRunner: listen.length > 0 && values.docker === undefined,
      noTarget: values.docker !== undefined,
    };
    const runners = asUsageError(this.name, () => groupRunners(tokens, allow));
    const running = asUsageError(this.name, () =>
      createAgent({
        server,
        docker: values.docker,
        discoverHostNetwork: values["discover-host-network"],
        runners,
        listen,
        token: findToken(values["token-file"], values.cert !== undefined || runners.length === 0),
        carrier: parseCarrier(values.carrier),
        connections: parseCount(values.connections, "--connections"),
        caFile: values.ca,
        certFile: values.cert,
        keyFile: values.key,
        serverName: values["server-name"],
        insecure: values.insecure,
        drainMs: parseSeconds(values.drain, "--drain"),
        backoffCapMs: parseSeconds(values["backoff-cap"], "--backoff-cap"),
        log,
      }),
    );
    if (values.insecure === true) {
      log.warn(
        {},
        "--insecure: the control plane's certificate is NOT checked; anyone on the path can impersonate it",
      );
    }
    await running.listening().catch(async (error: unknown) => {
      await running.close();
      throw error;
    });
    startWatchdog({ limitMs, format: logFormat(values["log-format"]), log });
    await runUntilSignal(log, () => running.close());
  },
};

type Token = { kind: string; name?: string; value?: string | undefined };

/** A target belongs to the runner that precedes it. */
function groupRunners(tokens: readonly Token[], allow: { noRunner: boolean; noTarget: boolean }): Runner[] {
  const runners: Runner[] = [];
  for (const { kind, name, value = "" } of tokens) {
    if (kind !== "option") continue;
    if (name === "runner") runners.push({ id: value, targets: [] });
    if (name !== "target") continue;
    const runner = runners.at(-1);
    if (runner === undefined)
      throw new UsageError(`--target ${value}: no runner precedes it`, "give --runner ID first");
    runner.targets.push(parseTarget(value));
  }
  if (runners.length === 0 && !allow.noRunner) {
    throw new UsageError(
      "no runner given",
      "give --runner ID and --target NAME=ADDRESS, or --listen ADDRESS",
    );
  }
  const empty = runners.find(({ targets }) => targets.length === 0);
  if (empty !== undefined && !allow.noTarget) {
    throw new UsageError(`runner ${empty.id} has no target`, "give --target NAME=ADDRESS after it");
  }
  return runners;
}

function findToken(file: string | undefined, isOptional: boolean): Secret | undefined {
  const fromEnvironment = process.env["TURNABOUT_TOKEN"];
  delete process.env["TURNABOUT_TOKEN"];
  if (file !== undefined) return { file };
  if (fromEnvironment !== undefined && fromEnvironment !== "") return { value: fromEnvironment };
  if (isOptional) return undefined;
  throw new UsageError(
    "no token given",
    "give --token-file FILE, set TURNABOUT_TOKEN, or use --cert and --key with rh2",
  );
}

export function parseCarrier(value: string): CarrierChoice {
  if (CARRIERS.includes(value)) return value as CarrierChoice;
  throw new UsageError(`--carrier ${value}: unknown carrier`, `use one of ${CARRIERS.join(", ")}`);
}
