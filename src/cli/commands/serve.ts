/** `turnabout serve`: the control plane. */
import { readFile } from "node:fs/promises";
import { isatty } from "node:tty";
import { parseArgs } from "node:util";
import type { ControlPlaneOptions } from "../../control/options.ts";
import { FORWARDED_FIELDS } from "../../control/trusted-proxies/forwarded.ts";
import { PROXY_PROTOCOL_MODES } from "../../control/trusted-proxies/trusted-proxies.ts";
import type { TlsFiles } from "../../control/reload/tls-files.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { systemErrorHint } from "../../wire/system/system-errors.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import type { Inheritance } from "../handover/inheritance.ts";
import { startedByUs } from "../handover/started-by-us.ts";
import { serveUntilEnd } from "../handover/serving.ts";
import { supervise } from "../handover/supervisor.ts";
import { createLogger, LOG_HELP, logFormat } from "../logger.ts";
import { parseChoice, parseCount, parsePort, parseSeconds } from "../options.ts";
import { startWatchdog, WATCHDOG_HELP, watchdogLimit } from "../watchdog/watchdog.ts";

const DEFAULT_PORT = "8080";
const STDOUT_FD = 1;

const HELP = `
usage: turnabout serve [OPTIONS]

Runs the control plane: one port for HTTP/1.1, HTTP/2, the agent endpoint and CONNECT.

  --port N                port to listen on; default 8080, 0 for a free one
  --host ADDRESS          address to listen on; default all
  --supervise             hold the port, and run the control plane in a process that is restarted when it dies
  --token-file FILE       JSON file with the hashes of all accepted tokens (see docs/operations.md), reloaded when
                          it changes. An agent's option of the same name is a file with the token itself
  --data-dir DIR          directory for sessions, instances and issued tokens; default: in memory only
  --moonlight-credentials-file FILE  file with Moonlight Web's shared secret; without it its routes are refused
  --moonlight-user-header NAME  field in which Moonlight Web takes a user's name from a proxy: it gets the viewer's
  --agent-url URL         control plane URL for the agents inside sandboxes, which get it in their environment
  --sandbox-image IMAGE   default container image of a sandbox
  --allow-image PATTERN   further images that users may request; * matches any characters; may be repeated
  --max-sessions-per-user N  sessions that a user may have at once; default: limited only by capacity
  --abandoned-sessions SECONDS  end the sessions of users who have had no valid token for so long; default: never
  --allowed-origin ORIGIN origin from which a token cookie is accepted, in addition to our own; may be repeated
  --trusted-pages TARGET.RUNNER  targets whose pages may run in browsers with our origin and the user's rights;
                          * matches any characters; may be repeated; default none
  --tls-cert FILE         certificate chain, PEM; the port then accepts TLS in addition to plaintext
  --tls-key FILE          its key, PEM
  --client-ca FILE        CA of client certificates, with which agents authenticate on rh2
  --client-crl FILE       revoked client certificates: a PEM revocation list, or one serial number per line.
                          These four files are reloaded when they change
  --base-path PATH        path prefix of all routes, if a reverse proxy does not strip it
  --grace SECONDS         how long dials wait for a lost agent; default 30
  --response-timeout SECONDS  how long a target may take to send a response header; default 60
  --max-streams-per-caller N  requests, WebSockets and tunnels that one user may have open at once, an admin four
                          times as many; default 4096
  --caller-stall SECONDS  how long a caller may leave unread what waits for it; default 60, 0 for no limit
  --anonymous-rate N      requests a second without a credential from one client address; default 100, 0 for no limit
  --drain SECONDS         how long open streams may take to finish after SIGTERM; default 30
  --trusted-proxy CIDR    address or block of a reverse proxy that is trusted to name the client; may be repeated
  --proxy-protocol MODE   PROXY header from a trusted proxy: off, allow or require; default off
  --forwarded-fields NAME fields that a trusted proxy sets: x-forwarded or forwarded; default x-forwarded
  --forwarded-prefix      trust X-Forwarded-Prefix of a trusted proxy, which must always set or remove it
  --no-revdial            refuse agents that speak RevDial's protocol (see docs/revdial.md)
  --ready-when RUNNER     /readyz is 200 only while this runner is connected; may be repeated
  --access-log FILE       a JSON line for each request at its end; - is standard output, off none. Default -, and off
                          where standard output is a terminal. SIGHUP opens the file again
${WATCHDOG_HELP}
${LOG_HELP}

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
  async run(args, { inheritance, parent, upgradeSignal }) {
    const { values } = parseArgs({
      args,
      options: {
        port: { type: "string" },
        host: { type: "string" },
        supervise: { type: "boolean" },
        "token-file": { type: "string" },
        "data-dir": { type: "string" },
        "moonlight-credentials-file": { type: "string" },
        "moonlight-user-header": { type: "string" },
        "agent-url": { type: "string" },
        "sandbox-image": { type: "string" },
        "allow-image": { type: "string", multiple: true },
        "max-sessions-per-user": { type: "string" },
        "abandoned-sessions": { type: "string" },
        "allowed-origin": { type: "string", multiple: true },
        "trusted-pages": { type: "string", multiple: true },
        "tls-cert": { type: "string" },
        "tls-key": { type: "string" },
        "client-ca": { type: "string" },
        "client-crl": { type: "string" },
        "base-path": { type: "string" },
        grace: { type: "string" },
        "response-timeout": { type: "string" },
        "max-streams-per-caller": { type: "string" },
        "caller-stall": { type: "string" },
        "anonymous-rate": { type: "string" },
        drain: { type: "string" },
        "trusted-proxy": { type: "string", multiple: true },
        "proxy-protocol": { type: "string" },
        "forwarded-fields": { type: "string" },
        "forwarded-prefix": { type: "boolean" },
        "no-revdial": { type: "boolean", default: false },
        "ready-when": { type: "string", multiple: true },
        watchdog: { type: "string" },
        "access-log": { type: "string" },
        "log-level": { type: "string" },
        "log-format": { type: "string" },
      },
    });
    const port = parsePort(values.port ?? DEFAULT_PORT, "--port");
    const { host, "data-dir": dataDirectory } = values;
    const log = createLogger({ level: values["log-level"], format: values["log-format"] });
    const { listenFd } = inheritance;
    if (parent === undefined) reportSocket(inheritance, values, log);
    if (values.supervise === true && parent?.startedBy !== "supervisor") {
      await supervise({ port, host, dataDirectory, inheritance, upgradeSignal, log });
    }
    const adminToken = process.env["TURNABOUT_ADMIN_TOKEN"];
    delete process.env["TURNABOUT_ADMIN_TOKEN"]; // no child process of ours needs it
    if ((adminToken ?? "") === "" && values["token-file"] === undefined) {
      throw new UsageError(
        "no tokens given: every request would be refused",
        "set TURNABOUT_ADMIN_TOKEN, or give --token-file FILE (`turnabout token` creates its entries)",
      );
    }
    const limitMs = watchdogLimit(parseSeconds(values.watchdog, "--watchdog"));
    // Loaded here, because a supervisor needs none of it.
    const { createControlPlane } = await import("../../control/control-plane.ts");
    const { helix } = await import("../../helix/helix.ts");
    const options: ControlPlaneOptions = {
      port,
      host,
      listenFd,
      tlsFiles: findTls(values),
      adminToken,
      tokenFile: values["token-file"],
      dataDirectory,
      agentUrl: values["agent-url"],
      allowedOrigins: values["allowed-origin"],
      trustedPages: values["trusted-pages"],
      basePath: values["base-path"],
      graceMs: parseSeconds(values.grace, "--grace"),
      responseTimeoutMs: parseSeconds(values["response-timeout"], "--response-timeout"),
      streamsPerCaller: parseCount(values["max-streams-per-caller"], "--max-streams-per-caller"),
      callerStallMs: parseSeconds(values["caller-stall"], "--caller-stall"),
      anonymousPerS: parseCount(values["anonymous-rate"], "--anonymous-rate"),
      drainMs: parseSeconds(values.drain, "--drain"),
      trustedProxies: values["trusted-proxy"],
      proxyProtocol: parseChoice(values["proxy-protocol"], "--proxy-protocol", PROXY_PROTOCOL_MODES),
      forwardedFields: parseChoice(values["forwarded-fields"], "--forwarded-fields", FORWARDED_FIELDS),
      forwardedPrefix: values["forwarded-prefix"],
      revdial: !values["no-revdial"],
      readyWhenConnected: values["ready-when"],
      extensions: [
        helix({
          moonlightCredentials: await findMoonlightCredentials(values["moonlight-credentials-file"]),
          moonlightUserHeader: values["moonlight-user-header"],
          sandboxImage: values["sandbox-image"],
          allowedImages: values["allow-image"],
          abandonedSessionMs: parseSeconds(values["abandoned-sessions"], "--abandoned-sessions"),
          maxSessionsPerUser: parseCount(values["max-sessions-per-user"], "--max-sessions-per-user"),
        }),
      ],
      log,
      accessLog: accessLogOf(values["access-log"]),
    };
    if (parent !== undefined) {
      const { checkControlPlane } = await import("../../control/check-files.ts");
      await checkControlPlane(options);
      await parent.prepared();
    }
    const controlPlane = await createControlPlane(options);
    const tls = values["tls-cert"] !== undefined;
    const { address, port: bound } = controlPlane.address;
    startWatchdog({ limitMs, format: logFormat(values["log-format"]), log });
    await serveUntilEnd({
      controlPlane,
      dataDirectory,
      inheritance,
      parent,
      upgradeSignal,
      log,
      onSignalsHandled: () => log.info({ address, port: bound, tls }, "control plane listens"),
    });
  },
});

/** A socket of a service manager, and options that it overrides. */
function reportSocket(
  { listenFd, ignored }: Inheritance,
  { port, host }: { port?: string; host?: string },
  log: Logger,
): void {
  if (ignored !== undefined) log.warn({ reason: ignored }, "the socket of LISTEN_FDS is not used");
  if (listenFd === undefined) return;
  const overridden = [...(port === undefined ? [] : ["--port"]), ...(host === undefined ? [] : ["--host"])];
  log.info(
    { listenFd, ...(overridden.length > 0 && { overridden }) },
    "listening on the socket of LISTEN_FDS",
  );
}

/** On a terminal its lines would hide the log's, which are for people. */
function accessLogOf(given: string | undefined): string | undefined {
  const path = given ?? (isatty(STDOUT_FD) ? "off" : "-");
  if (path === "") throw new UsageError("--access-log without a file", "use off, - or a path");
  return path === "off" ? undefined : path;
}

function findTls(values: {
  "tls-cert"?: string;
  "tls-key"?: string;
  "client-ca"?: string;
  "client-crl"?: string;
}): TlsFiles | undefined {
  const certFile = values["tls-cert"];
  const keyFile = values["tls-key"];
  const clientCaFile = values["client-ca"];
  const clientCrlFile = values["client-crl"];
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
