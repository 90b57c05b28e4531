/** `turnabout demo`: a two-level system on this machine, with commands to try. */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { startDemo } from "../../demo/system.ts";
import type { DemoSystem } from "../../demo/system.ts";
import type { Command } from "../command.ts";
import { runUntilSignal } from "../lifecycle.ts";
import { createLogger, LOG_HELP } from "../logger.ts";
import { parsePort } from "../options.ts";

const HELP = `
usage: turnabout demo [OPTIONS]

Runs a control plane, agents, and doubles of Wolf and Moonlight Web on this machine, and prints commands to try.

  --port N                port of the control plane; default 8080, 0 for a free one
  --host ADDRESS          address to listen on; default 127.0.0.1
${LOG_HELP}

environment:
  TURNABOUT_ADMIN_TOKEN   the admin token; default: a new one, which is printed
`;

export const demo: Command = {
  name: "turnabout demo",
  summary: "run a two-level system on this machine",
  help: HELP,
  async run(args) {
    const { values } = parseArgs({
      args,
      options: {
        port: { type: "string", default: "8080" },
        host: { type: "string", default: "127.0.0.1" },
        "log-level": { type: "string", default: "warn" },
        "log-format": { type: "string" },
      },
    });
    const given = process.env["TURNABOUT_ADMIN_TOKEN"] ?? "";
    const adminToken = given === "" ? randomBytes(18).toString("base64url") : given;
    const log = createLogger({ level: values["log-level"], format: values["log-format"] });
    const starting = startDemo({
      port: parsePort(values.port, "--port"),
      host: values.host,
      adminToken,
      log,
    });
    // Before it has started: Ctrl-C must never leave a directory or a process behind.
    const ended = runUntilSignal(log, async () => (await starting).close());
    process.stdout.write(lines(await starting, adminToken));
    await ended;
  },
};

function lines({ controlPlane, display }: DemoSystem, token: string): string {
  const url = `http://localhost:${controlPlane.port}`;
  const auth = `-H 'Authorization: Bearer ${token}'`;
  const targets = `${url}/api/v1/runners`;
  const shows =
    display.kind === "sway" ? "a real Sway" : "a generated picture, because sway and grim are not installed";
  return `Turnabout demo

  page         ${url}/  (sign in with the admin token)
  admin token  ${token}
  runners      wolf-local (double of Wolf), moonlight-local (double of Moonlight Web),
               sandbox-ses_demo (${shows})

Try in another terminal:

  # runners that are connected
  curl -s ${auth} ${targets}

  # Wolf's API through the tunnel, and its event stream
  curl -s ${auth} ${targets}/wolf-local/targets/wolf/api/v1/apps
  curl -sN ${auth} ${targets}/wolf-local/targets/wolf/api/v1/events

  # HTTP/2 without TLS
  curl -s --http2-prior-knowledge ${auth} ${targets}/wolf-local/targets/wolf/api/v1/lobbies

  # the same target with the control plane as a forward proxy, which HTTP clients of every language support
  curl -s -p -x ${url} --proxy-header 'Proxy-Authorization: Bearer ${token}' http://wolf.wolf-local/api/v1/apps

  # the sandbox's screen
  curl -s -o screenshot.png ${auth} ${targets}/sandbox-ses_demo/targets/screenshot/screenshot

  # a session: the double of Wolf starts a sandbox for it; its screen, Moonlight Web's apps for its owner, its end
  curl -s ${auth} -H 'Content-Type: application/json' -d '{"name":"mine"}' -o session.json ${url}/api/v1/sessions
  ID=$(sed 's/.*"id":"\\(ses_[^"]*\\)".*/\\1/' session.json)
  curl -s ${auth} -H 'Prefer: wait=20' -o session.png ${url}/api/v1/external-agents/$ID/screenshot?format=png
  curl -s ${auth} "${url}/moonlight/api/apps?host_id=0&session_id=$ID"
  # its page, in a browser with the cookie access_token=${token}
  echo ${url}/moonlight/s/$ID/
  curl -s ${auth} -X DELETE ${url}/api/v1/sessions/$ID

Ctrl-C ends it.
`;
}
