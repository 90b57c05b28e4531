/** `wolf-revdial-client`: Helix's Wolf sidecar with its flags and its three environment variables. */
import { parseArgs } from "node:util";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { runHelixAgent } from "./helix-agent.ts";
import { LOG_HELP } from "../logger.ts";
import { acceptGoFlags, parseSeconds } from "../options.ts";

const HELP = `
usage: wolf-revdial-client [-api-url URL] [-wolf-id ID] [-token TOKEN] [-local ADDRESS] [-reconnect SECONDS]

Connects to the control plane and serves the local Wolf as runner wolf-ID, target wolf. Flags take one dash or two.

  -api-url URL        control plane (HELIX_API_URL)
  -wolf-id ID         instance id (WOLF_ID); us-1 and wolf-us-1 both are runner wolf-us-1
  -token TOKEN        bearer token (RUNNER_TOKEN)
  -token-file FILE    file with the bearer token; read again at every attempt
  -local ADDRESS      host:port or unix:///path; default localhost:8080
  -reconnect SECONDS  longest pause between attempts; default 5
  -carrier KIND       auto (default), rh2, ptth, websocket or h2
  -ca FILE            CA of the control plane's certificate, in addition to the system's
  -watchdog SECONDS   end the process if its main thread is stuck for this long; default 30, 0 turns it off
  -insecure           accept any certificate (never in production)
${LOG_HELP}
`;

export const wolfRevdialClient: Command = {
  name: "wolf-revdial-client",
  summary: "Helix's agent command for Wolf",
  help: HELP,
  async run(args) {
    const { values } = parseArgs({
      args: acceptGoFlags(args, ["insecure"]),
      options: {
        "api-url": { type: "string" },
        "wolf-id": { type: "string" },
        token: { type: "string" },
        "token-file": { type: "string" },
        local: { type: "string", default: "localhost:8080" },
        reconnect: { type: "string", default: "5" },
        carrier: { type: "string" },
        ca: { type: "string" },
        insecure: { type: "boolean", default: false },
        watchdog: { type: "string" },
        "log-level": { type: "string" },
        "log-format": { type: "string" },
      },
    });
    const server = values["api-url"] ?? environment("HELIX_API_URL");
    const wolfId = values["wolf-id"] ?? environment("WOLF_ID");
    const token = values.token ?? environment("RUNNER_TOKEN");
    const file = values["token-file"];
    if (server === undefined)
      throw new UsageError("no control plane given", "give -api-url URL or set HELIX_API_URL");
    if (wolfId === undefined) throw new UsageError("no Wolf id given", "give -wolf-id ID or set WOLF_ID");
    if (token === undefined && file === undefined) {
      throw new UsageError("no token given", "give -token TOKEN, -token-file FILE, or set RUNNER_TOKEN");
    }
    await runHelixAgent({
      title: "wolf-revdial-client",
      server,
      runnerId: wolfId.startsWith("wolf-") ? wolfId : `wolf-${wolfId}`,
      token: file === undefined ? { value: token ?? "" } : { file },
      local: values.local,
      carrier: values.carrier,
      caFile: values.ca,
      insecure: values.insecure,
      watchdogMs: parseSeconds(values.watchdog, "-watchdog"),
      backoffCapMs: parseSeconds(values.reconnect, "-reconnect"),
      logLevel: values["log-level"],
      logFormat: values["log-format"],
    });
  },
};

function environment(name: string): string | undefined {
  const value = process.env[name];
  return value === undefined || value === "" ? undefined : value;
}
