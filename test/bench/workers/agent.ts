/** The agent under test, by its public API, with the memory settings of the command. */
import { createAgent } from "../../../src/index.ts";
import type { Agent } from "../../../src/index.ts";
import { returnMemory } from "../../../src/cli/memory-return.ts";
import { setV8Flags } from "../../../src/cli/v8-flags.ts";
import { ADMIN_TOKEN, RUNNER } from "../names.ts";
import { serve } from "./serve.ts";

export interface AgentCalls {
  /**
   * Resolves when all its connections are established.
   *
   * @param caFile of a control plane on TLS; default plaintext
   */
  connect(
    controlPlanePort: number,
    targets: Readonly<Record<string, number>>,
    caFile?: string,
  ): Promise<void>;
}

let agent: Agent;

setV8Flags();
returnMemory();

serve({
  connect: async (port, targets, caFile) => {
    const runner = Object.fromEntries(
      Object.entries(targets).map(([name, target]) => [name, `127.0.0.1:${target}`]),
    );
    agent = createAgent({
      server: `${caFile === undefined ? "http" : "https"}://127.0.0.1:${port}`,
      token: { value: ADMIN_TOKEN },
      carrier: caFile === undefined ? "ptth" : "rh2",
      caFile,
      runners: { [RUNNER]: runner },
    });
    await agent.connected();
    while (agent.connections < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  },
} satisfies AgentCalls);
