/** `turnabout serve`: the control plane. */
import { readFile } from "node:fs/promises";
import { isatty } from "node:tty";
import type { ControlPlaneOptions } from "../../control/options.ts";
import { FORWARDED_FIELDS } from "../../control/trusted-proxies/forwarded.ts";
import { PROXY_PROTOCOL_MODES } from "../../control/trusted-proxies/trusted-proxies.ts";
import type { TlsFiles } from "../../control/reload/tls-files.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { systemErrorHint } from "../../wire/system/system-errors.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import type { Given } from "../config/given.ts";
import { gather } from "../config/load.ts";
import { warnOfOpenSecrets } from "./secret-files.ts";
import { helpOf, SOURCES_HELP } from "../config/option.ts";
import { reportUnknownVariables } from "../config/unknown-variables.ts";
import { SERVE_OPTIONS } from "../config/serve-options.ts";
import type { ServeOption } from "../config/serve-options.ts";
import type { Inheritance } from "../handover/inheritance.ts";
import { startedByUs } from "../handover/started-by-us.ts";
import { serveUntilEnd } from "../handover/serving.ts";
import { supervise } from "../handover/supervisor.ts";
import { createLogger, logFormat } from "../logger.ts";
import { startTelemetry } from "../../telemetry/exporter.ts";
import { startWatchdog, watchdogLimit } from "../watchdog/watchdog.ts";

const STDOUT_FD = 1;

const HELP = `
usage: turnabout serve [OPTIONS]

Runs the control plane: one port for HTTP/1.1, HTTP/2, the agent endpoint and CONNECT.

${helpOf(SERVE_OPTIONS)}

${SOURCES_HELP}

environment:
  TURNABOUT_ADMIN_TOKEN   a token that may do everything
  MOONLIGHT_CREDENTIALS   Moonlight Web's shared secret, instead of the file
  LISTEN_FDS              set by systemd's socket activation: listen on its socket, not on --port and --host

SIGUSR2 replaces the process without an outage, as \`turnabout upgrade\` does.
`;

export const serve: Command = startedByUs({
  name: "turnabout serve",
  summary: "run the control plane",
  help: HELP,
  hasLog: true,
  async run(args, { inheritance, parent, upgradeSignal }) {
    const { given } = await gather("serve", SERVE_OPTIONS, args);
    const port = given.port("port");
    const host = given.text("host");
    const dataDirectory = given.text("data-dir");
    const log = createLogger({ level: given.text("log-level"), format: given.text("log-format") });
    if (parent === undefined) await reportUnknownVariables(process.env, log);
    const { listenFd } = inheritance;
    if (parent === undefined) reportSocket(inheritance, given, log);
    if (given.isOn("supervise") === true && parent === undefined) {
      await supervise({ port, host, dataDirectory, inheritance, upgradeSignal, log });
    }
    const adminToken = process.env["TURNABOUT_ADMIN_TOKEN"];
    delete process.env["TURNABOUT_ADMIN_TOKEN"]; // no child process of ours needs it
    if ((adminToken ?? "") === "") await requireTokens(given.text("token-file"));
    warnOfOpenSecrets([given.text("tls-key"), given.text("moonlight-credentials-file")], log);
    const limitMs = watchdogLimit(given.seconds("watchdog"));
    const telemetry = await startTelemetry({ service: "turnabout-control-plane", log });
    const options: ControlPlaneOptions = {
      ...(await controlPlaneOptions(given)),
      tracing: telemetry?.tracing,
      listenFd,
      adminToken,
      log,
    };
    if (parent !== undefined) {
      const { checkControlPlane } = await import("../../control/check-files.ts");
      await checkControlPlane(options);
      await parent.prepared();
    }
    const { createControlPlane } = await import("../../control/control-plane.ts"); // a supervisor needs none of it
    const controlPlane = await createControlPlane(options);
    const tls = given.isGiven("tls-cert");
    const { address, port: bound } = controlPlane.address;
    startWatchdog({ limitMs, format: logFormat(given.text("log-format")), log });
    await serveUntilEnd({
      controlPlane,
      onEnd: () => telemetry?.close(),
      dataDirectory,
      inheritance,
      parent,
      upgradeSignal,
      log,
      onSignalsHandled: () => log.info({ address, port: bound, tls }, "control plane listens"),
    });
  },
});

type GivenToServe = Given<ServeOption>;

/** @throws UsageError if no request could ever be accepted */
async function requireTokens(file: string | undefined): Promise<void> {
  const hint =
    "set TURNABOUT_ADMIN_TOKEN, or give --token-file FILE (`turnabout token --add FILE` writes its entries)";
  if (file === undefined) throw new UsageError("no tokens given: every request would be refused", hint);
  const { isUsable, readTokenFile } = await import("../../control/reload/token-file.ts");
  const records = await readTokenFile(file);
  if (records.some(isUsable)) return;
  const what = records.length === 0 ? "has no entries" : "has no entry that matches any runner";
  throw new UsageError(`token file ${file}: ${what}: every request would be refused`, hint);
}

/** Without what the process has from elsewhere: its log, its socket and the admin token. @throws UsageError */
export async function controlPlaneOptions(given: GivenToServe): Promise<ControlPlaneOptions> {
  const { helix } = await import("../../helix/helix.ts");
  return {
    port: given.port("port"),
    host: given.text("host"),
    tlsFiles: findTls(given),
    tokenFile: given.text("token-file"),
    dataDirectory: given.text("data-dir"),
    agentUrl: given.text("agent-url"),
    allowedOrigins: given.list("allowed-origin"),
    trustedPages: given.list("trusted-pages"),
    plainHttpFrom: given.list("plain-http-from"),
    basePath: given.text("base-path"),
    graceMs: given.seconds("grace"),
    responseTimeoutMs: given.seconds("response-timeout"),
    streamsPerCaller: given.count("max-streams-per-caller"),
    callerStallMs: given.seconds("caller-stall"),
    anonymousPerS: given.count("anonymous-rate"),
    drainMs: given.seconds("drain"),
    trustedProxies: given.list("trusted-proxy"),
    proxyProtocol: given.choice("proxy-protocol", PROXY_PROTOCOL_MODES),
    forwardedFields: given.choice("forwarded-fields", FORWARDED_FIELDS),
    forwardedPrefix: given.isOn("forwarded-prefix"),
    revdial: given.isOn("revdial"),
    readyWhenConnected: given.list("ready-when"),
    extensions: [
      helix({
        moonlightCredentials: await findMoonlightCredentials(given.text("moonlight-credentials-file")),
        moonlightUserHeader: given.text("moonlight-user-header"),
        sandboxImage: given.text("sandbox-image"),
        allowedImages: given.list("allow-image"),
        abandonedSessionMs: given.seconds("abandoned-sessions"),
        maxSessionsPerUser: given.count("max-sessions-per-user"),
      }),
    ],
    accessLog: accessLogOf(given.text("access-log")),
  };
}

/** A socket of a service manager, and options that it overrides. */
function reportSocket({ listenFd, ignored }: Inheritance, given: GivenToServe, log: Logger): void {
  if (ignored !== undefined) log.warn({ reason: ignored }, "the socket of LISTEN_FDS is not used");
  if (listenFd === undefined) return;
  const overridden = (["port", "host"] as const)
    .filter((name) => given.isGiven(name))
    .map((name) => `--${name}`);
  log.info(
    { listenFd, ...(overridden.length > 0 && { overridden }) },
    "listening on the socket of LISTEN_FDS",
  );
}

/** On a terminal its lines would hide the log's, which are for people. */
function accessLogOf(given: string | undefined): string | undefined {
  const path = given ?? (isatty(STDOUT_FD) ? "off" : "-");
  return path === "off" ? undefined : path;
}

function findTls(given: GivenToServe): TlsFiles | undefined {
  const certFile = given.text("tls-cert");
  const keyFile = given.text("tls-key");
  const clientCaFile = given.text("client-ca");
  const clientCrlFile = given.text("client-crl");
  if ([certFile, keyFile, clientCaFile, clientCrlFile].every((file) => file === undefined)) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new UsageError(
      "TLS needs a certificate and its key",
      "give both --tls-cert FILE and --tls-key FILE",
    );
  }
  if (clientCrlFile !== undefined && clientCaFile === undefined) {
    throw new UsageError(
      "--client-crl without --client-ca",
      "give the CA that has issued the list, with --client-ca FILE",
    );
  }
  return { certFile, keyFile, clientCaFile, clientCrlFile };
}

async function findMoonlightCredentials(file: string | undefined): Promise<string | undefined> {
  const fromEnvironment = process.env["MOONLIGHT_CREDENTIALS"];
  delete process.env["MOONLIGHT_CREDENTIALS"];
  const text = file === undefined ? fromEnvironment : await readText(file, "--moonlight-credentials-file");
  return text === undefined || text.trim() === "" ? undefined : text.trim();
}

async function readText(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new TurnaboutError("config_invalid", `${option} ${path}: ${toError(cause).message}`, {
      cause,
      hint: systemErrorHint(cause, "file") ?? "check the path",
    });
  }
}
