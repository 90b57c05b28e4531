/** What the fuzzers' processes have in common: arguments, a control plane, an agent before targets, cases side by side. */
import type { AddressInfo, Server } from "node:net";
import { createAgent, createControlPlane } from "../../src/index.ts";
import type { AgentOptions, ControlPlane, ControlPlaneOptions } from "../../src/index.ts";
import { helix } from "../../src/helix/helix.ts";
import type { Report } from "./report.ts";

export const TOKEN = "fuzz-token";

const [seedArgument = 1, count = 100] = process.argv.slice(2).map(Number);

/** The first argument. The second is the number of cases. */
export const seed: number = seedArgument;

/** Listens on a free port of the loopback address. @returns the address as an agent's target */
export async function listenOn(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What it logs as an error is reported. */
export function startControlPlane(report: Report, options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  return createControlPlane({
    extensions: [helix()],
    port: 0,
    host: "127.0.0.1",
    adminToken: TOKEN,
    log: report.logger,
    ...options,
  });
}

/** An agent with one connection, which is open when this resolves. */
export async function connectAgent(
  { port }: Pick<ControlPlane, "port">,
  runners: AgentOptions["runners"],
  options: Partial<AgentOptions> = {},
): Promise<ReturnType<typeof createAgent>> {
  const agent = createAgent({
    server: `http://127.0.0.1:${port}`,
    token: { value: TOKEN },
    connections: 1,
    runners,
    ...options,
  });
  await agent.connected();
  return agent;
}

/** A GET as admin; undefined where the response is cut off. */
export async function getText(
  port: number,
  path: string,
): Promise<{ status: number; text: string } | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    return { status: response.status, text: await response.text() };
  } catch {
    return undefined;
  }
}

/** Runs all cases, several at once. */
export async function runCases(atOnce: number, runCase: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const n = next;
      next += 1;
      await runCase(n);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

/** Ends the process. The agent has to be connected still, and both have to close in time. */
export async function endWith(
  report: Report,
  { agent, controlPlane }: { agent: ReturnType<typeof createAgent>; controlPlane: ControlPlane },
  deadlineMs: number,
): Promise<never> {
  if (!controlPlane.runners().some(({ state }) => state === "connected")) report.add("the agent is gone");
  await report.within(agent.close(), "the agent's end", deadlineMs);
  await report.within(controlPlane.close(), "the control plane's end", deadlineMs);
  return report.end();
}
