/** A relay in front of a control plane or of another relay: an agent without runners that listens for others. */
import net from "node:net";
import type { Socket } from "node:net";
import { createAgent } from "../../src/agent/agent.ts";
import type { Agent } from "../../src/agent/agent.ts";
import type { AgentOptions } from "../../src/agent/config.ts";
import { closedAtTheEnd } from "./cleanup.ts";
import { ending } from "./events.ts";
import { tempPath } from "./temp.ts";

export interface TestRelay extends AsyncDisposable {
  readonly agent: Agent;
  /** `unix:/path`, as an agent's `server`. */
  readonly unix: string;
  readonly socketPath: string;
  /** `http://127.0.0.1:PORT`, as an agent's `server`. */
  readonly http: string;
  readonly port: number;
}

/** Listens on a Unix socket and on a free port. */
export async function startRelayTo(
  server: string,
  options: Partial<AgentOptions> & { socketPath?: string; port?: number } = {},
): Promise<TestRelay> {
  const { socketPath = tempPath(), port = 0, ...own } = options;
  const agent = createAgent({
    server,
    runners: {},
    listen: [`unix:${socketPath}`, `127.0.0.1:${port}`],
    drainMs: 100,
    ...own,
  });
  const close = closedAtTheEnd(() => agent.close());
  const [unix = "", tcp = ""] = await agent.listening();
  return {
    agent,
    unix,
    socketPath,
    http: `http://${tcp}`,
    port: Number(tcp.split(":").at(-1)),
    [Symbol.asyncDispose]: close,
  };
}

/** Sends bytes to a relay and reads all that it responds with until it closes. */
export async function rawExchange(port: number, bytes: string | Buffer): Promise<string> {
  const socket: Socket = net.connect({ port, host: "127.0.0.1" });
  const end = ending(socket);
  socket.write(bytes);
  const { data } = await end;
  socket.destroy();
  return data.toString("latin1");
}

export function upgradeRequest(fields: Record<string, string> = {}, path: string = ENDPOINT): string {
  const all = { Host: "relay", Connection: "Upgrade", Upgrade: "ptth", ALPN: "h2", ...fields };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

export const ENDPOINT = "/api/v1/revdial?runnerid=runner-1";
