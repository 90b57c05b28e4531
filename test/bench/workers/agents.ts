/** Many idle agents of one connection each, in one process. */
import { createAgent } from "../../../src/index.ts";
import type { Agent } from "../../../src/index.ts";
import { setV8Flags } from "../../../src/cli/v8-flags.ts";
import { ADMIN_TOKEN } from "../names.ts";
import { serve } from "./serve.ts";

export interface AgentsCalls {
  /** Starts agents `<prefix>-0` …; resolves when all are connected. */
  start(controlPlanePort: number, prefix: string, count: number): Promise<void>;
  /** Connections that are established at this moment. */
  connected(): number;
}

/** Below the listener's backlog: the first connect is not what is measured. */
const AT_ONCE = 50;

const agents: Agent[] = [];

setV8Flags();

serve({
  start: async (port, prefix, count) => {
    for (let first = 0; first < count; first += AT_ONCE) {
      const batch = Array.from({ length: Math.min(AT_ONCE, count - first) }, (_, index) =>
        createAgent({
          server: `http://127.0.0.1:${port}`,
          token: { value: ADMIN_TOKEN },
          carrier: "ptth",
          connections: 1,
          runners: { [`${prefix}-${first + index}`]: { idle: "127.0.0.1:9" } },
        }),
      );
      agents.push(...batch);
      await Promise.all(batch.map((agent) => agent.connected()));
    }
  },
  connected: () => agents.reduce((sum, agent) => sum + agent.connections, 0),
} satisfies AgentsCalls);
