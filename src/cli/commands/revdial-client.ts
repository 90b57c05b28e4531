/** `revdial-client`: Helix's command with Helix's flags, so that a container's start script need not change. */
import { parseArgs } from "node:util";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { runHelixAgent } from "./helix-agent.ts";
import { LOG_HELP } from "../logger.ts";
import { acceptGoFlags, parseSeconds } from "../options.ts";

const HELP = `
usage: revdial-client -server URL -runner-id ID -token TOKEN [-local ADDRESS]

Connects to the control plane and serves one local address. Flags take one dash or two; names in brackets are aliases.

  -server URL        control plane [-server-url]
  -runner-id ID      sets the target's name: wolf-… wolf, moonlight-… moonlight, sandbox-… and desktop-… screenshot,
                     any other default
  -token TOKEN       bearer token [-runner-token]
  -token-file FILE   file with the bearer token; read again at every attempt
  -local ADDRESS     host:port or unix:///path; default localhost:9876 [-local-addr]
  -carrier KIND      auto (default), rh2, ptth, websocket or h2
  -ca FILE           CA of the control plane's certificate, in addition to the system's
  -watchdog SECONDS  end the process if its main thread is stuck for this long; default 30, 0 turns it off
  -insecure          accept any certificate (never in production)
${LOG_HELP}
`;

export const revdialClient: Command = {
  name: "revdial-client",
  summary: "Helix's agent command",
  help: HELP,
  async run(args) {
    const { values } = parseArgs({
      args: acceptGoFlags(args, ["insecure"]),
      options: {
        server: { type: "string" },
        "server-url": { type: "string" },
        "runner-id": { type: "string" },
        token: { type: "string" },
        "runner-token": { type: "string" },
        "token-file": { type: "string" },
        local: { type: "string" },
        "local-addr": { type: "string" },
        carrier: { type: "string" },
        ca: { type: "string" },
        insecure: { type: "boolean", default: false },
        watchdog: { type: "string" },
        "log-level": { type: "string" },
        "log-format": { type: "string" },
      },
    });
    const server = values.server ?? values["server-url"];
    const runnerId = values["runner-id"];
    const token = values.token ?? values["runner-token"];
    if (server === undefined) throw new UsageError("no control plane given", "give -server URL");
    if (runnerId === undefined || runnerId === "")
      throw new UsageError("no runner id given", "give -runner-id ID");
    const file = values["token-file"];
    if ((token === undefined || token === "") && file === undefined) {
      throw new UsageError("no token given", "give -token TOKEN or -token-file FILE");
    }
    await runHelixAgent({
      title: "revdial-client",
      server,
      runnerId,
      token: file === undefined ? { value: token ?? "" } : { file },
      local: values.local ?? values["local-addr"] ?? "localhost:9876",
      carrier: values.carrier,
      caFile: values.ca,
      insecure: values.insecure,
      watchdogMs: parseSeconds(values.watchdog, "-watchdog"),
      logLevel: values["log-level"],
      logFormat: values["log-format"],
    });
  },
};
