/**
 * The screenshot server of a sandbox container.
 *
 *     SCREENSHOT_PORT=9876 XDG_RUNTIME_DIR=/run/user/1000 node agents/sandbox/server/main.ts
 *
 * See the README beside this folder for all variables.
 */
import { homedir } from "node:os";
import { join } from "node:path";
import { DEFAULT_RUNTIME_FOLDER } from "./desktop/display.ts";
import { messageOf } from "./errors.ts";
import { SCREENSHOT_PORT } from "./limits.ts";
import { createLogger } from "./log.ts";
import { startSandboxServer } from "./server.ts";
import type { SandboxServer, SandboxServerOptions } from "./server.ts";

// The reader of our output may go away: the container's log collector, a terminal.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});
process.on("SIGPIPE", () => {});
process.on("SIGHUP", () => {});

const log = createLogger(process.env["LOG_LEVEL"]);

// Whatever escapes every handler is one request's problem, not the desktop's.
process.on("uncaughtException", (error) => log.error({ err: error }, "internal error; continuing"));
process.on("unhandledRejection", (reason) => log.error({ err: reason }, "internal error; continuing"));

function optionsFromEnvironment(): SandboxServerOptions {
  const {
    SCREENSHOT_PORT: port = String(SCREENSHOT_PORT),
    SCREENSHOT_HOST: host,
    XDG_RUNTIME_DIR: runtimeFolder = DEFAULT_RUNTIME_FOLDER,
    INCOMING_DIR: incomingFolder = join(homedir(), "work", "incoming"),
    EXEC_ALLOW: allow,
  } = process.env;
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
    throw new Error(`SCREENSHOT_PORT=${port} is not a port: use 0 to 65535`);
  return {
    port: Number(port),
    ...(host === undefined ? {} : { host }),
    runtimeFolder,
    incomingFolder,
    ...(allow === undefined ? {} : { execAllowed: allow.split(",").filter(Boolean) }),
    log,
  };
}

async function start(): Promise<SandboxServer> {
  try {
    return await startSandboxServer(optionsFromEnvironment());
  } catch (error) {
    log.error({}, `screenshot server did not start: ${messageOf(error)}`);
    process.exit(1);
  }
}

const server = await start();
log.info({ port: server.port }, "screenshot server listens");

let isEnding = false;
const end = (signal: NodeJS.Signals): void => {
  if (isEnding) process.exit(1);
  isEnding = true;
  log.info({ signal }, "shutting down");
  server.close().then(
    () => process.exit(0),
    () => process.exit(1),
  );
};
process.on("SIGTERM", end);
process.on("SIGINT", end);
