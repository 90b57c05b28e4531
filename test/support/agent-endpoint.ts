/** A control plane up to the upgrade only: an agent's carrier as a bare socket, and nothing above it. */
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { on } from "node:events";
import { createAgent } from "../../src/agent/agent.ts";
import type { Agent } from "../../src/agent/agent.ts";
import type { AgentOptions } from "../../src/agent/config.ts";
import { FrameClient } from "./http2-frames.ts";
import { within } from "./events.ts";

export interface TestAgentEndpoint extends AsyncDisposable {
  readonly url: string;
  /** The carrier of the agent's next dial, after its `101`: the agent waits for the connection preface. */
  carrier(): Promise<Socket>;
}

const SWITCHING =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ptth\r\nALPN: h2\r\nturnabout-version: 0.1.0\r\n\r\n";

/** The `101` is sent when the test calls `carrier()`: the agent's handshake deadline starts then. */
export async function openAgentEndpoint(): Promise<TestAgentEndpoint> {
  const server = createServer((_request, response) => response.writeHead(426).end());
  const sockets = new Set<Socket>();
  const dials = on(server, "upgrade");
  server.on("upgrade", (_request, socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // permanently
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await within(new Promise((resolve) => server.once("listening", resolve)), "a listener");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    carrier: async () => {
      for (;;) {
        const { value } = (await within(dials.next(), "a dial of the agent")) as { value: unknown[] };
        const socket = value[1] as Socket;
        if (socket.destroyed || socket.readableEnded) continue;
        socket.setNoDelay(true);
        socket.write(SWITCHING);
        return socket;
      }
    },
    [Symbol.asyncDispose]: async () => {
      await dials.return?.();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface FrameAgent extends AsyncDisposable {
  readonly agent: Agent;
  readonly client: FrameClient;
}

/** A real agent whose control plane is the test, which sends frames one by one. Its runner is `runner`. */
export async function startFrameAgent(
  targets: Record<string, string>,
  options: Partial<AgentOptions> = {},
): Promise<FrameAgent> {
  const endpoint = await openAgentEndpoint();
  const agent = createAgent({
    server: endpoint.url,
    runners: { runner: targets },
    token: { value: "token" },
    connections: 1,
    carrier: "ptth",
    drainMs: 200,
    pingIntervalMs: 600_000,
    ...options,
  });
  const client = await FrameClient.open(await endpoint.carrier());
  return {
    agent,
    client,
    [Symbol.asyncDispose]: async () => {
      client.socket.destroy();
      await Promise.all([agent.close(), endpoint[Symbol.asyncDispose]()]);
    },
  };
}
