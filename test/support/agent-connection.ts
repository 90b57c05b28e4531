/** An AgentConnection on both ends of a tunnel connection: its limits on streams and headers, without a registry. */
import type { ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import { createIdentity } from "../../src/control/auth/identity.ts";
import { AgentConnection } from "../../src/control/registry/agent-connection.ts";
import { Http2Tunnel } from "../../src/control/tunnels/http2-tunnel.ts";
import { createHello } from "./scripted-agent.ts";
import type { SessionPair } from "./session-pair.ts";

export function connectionOn({ carrier, control }: SessionPair): AgentConnection {
  return new AgentConnection({
    id: "test",
    tunnel: new Http2Tunnel({
      carrier: { kind: "ptth", stream: carrier.control, remoteAddress: undefined },
      http2Session: control,
      liveness: { rttMs: undefined },
      capabilities: [],
    }),
    identity: createIdentity("admin", "", { kind: "admin", runners: ["*"] }),
    hello: createHello(),
  });
}

/** Opens a stream with these fields, counted as any other. */
export function openWith(connection: AgentConnection, fields: OutgoingHttpHeaders): ClientHttp2Stream {
  return connection.open(
    { runner: "runner", target: "echo" },
    () => {},
    (tunnel, onClose) => (tunnel as Http2Tunnel).request(fields, onClose),
  );
}
