/** An AgentConnection on both ends of a tunnel connection: its limits on streams and headers, without a registry. */
import { createIdentity } from "../../src/control/auth/identity.ts";
import { AgentConnection } from "../../src/control/registry/agent-connection.ts";
import { createHello } from "./scripted-agent.ts";
import type { SessionPair } from "./session-pair.ts";

export function connectionOn({ carrier, control }: SessionPair): AgentConnection {
  return new AgentConnection({
    id: "test",
    carrier: { kind: "ptth", stream: carrier.control, remoteAddress: undefined },
    http2Session: control,
    identity: createIdentity("admin", "", { kind: "admin", runners: ["*"] }),
    hello: createHello(),
    liveness: { rttMs: undefined, stop: () => {} },
  });
}
