/** The agent under test, by its public API, with the memory settings of the command. */
import { createAgent } from "../../../src/index.ts";
import type { Agent } from "../../../src/index.ts";
import { setV8Flags } from "../../../src/cli/v8-flags.ts";
import { ADMIN_TOKEN, RUNNER } from "../names.ts";
import { serve } from "./serve.ts";

export interface AgentCalls {
  /** Resolves when all its connections are established. */
  connect(controlPlanePort: number, targets: Readonly<Record<string, number>>): Promise<void>;
}

let agent: Agent;

setV8Flags();

serve({
  connect: async (port, targets) => {
    const runner = Object.fromEntries(
      Object.entries(targets).map(([name, target]) => [name, `127.0.0.1:${target}`]),
    );
    agent = createAgent({
      server: `http://127.0.0.1:${port}`,
      token: { value: ADMIN_TOKEN },
      carrier: "ptth",
      runners: { [RUNNER]: runner },
    });
    await agent.connected();
    while (agent.connections < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  },
} satisfies AgentCalls);
