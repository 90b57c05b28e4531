/** An agent whose events are recorded: for agents that are expected to fail, to fall back or to reconnect. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createAgent } from "../../src/agent/agent.ts";
import type { Agent } from "../../src/agent/agent.ts";
import type { AgentLifecycleEvent, AgentOptions } from "../../src/agent/config.ts";
import type { Dial } from "../../src/wire/streams/dial.ts";
import type { Logger } from "../../src/wire/log.ts";
import { closedAtTheEnd } from "./cleanup.ts";
import { EventLog } from "./event-log.ts";
import { ending } from "./events.ts";
import { ADMIN_TOKEN, RUNNER, TARGET } from "./system.ts";
import { tempPath } from "./temp.ts";

type Of<Type> = Extract<AgentLifecycleEvent, { type: Type }>;

export interface FollowedAgent extends AsyncDisposable {
  readonly agent: Agent;
  readonly events: EventLog<AgentLifecycleEvent>;
  connected(): Promise<Of<"connected">>;
  /** The next attempt that fails, from the `from`th event on. */
  failed(from?: number): Promise<Of<"attempt-failed">>;
  lost(): Promise<Of<"lost">>;
}

/** Does not wait. By default one connection, a short backoff, `runner-1` with a target that refuses. */
export function followAgent(options: Partial<AgentOptions> & { server: string }): FollowedAgent {
  const events = new EventLog<AgentLifecycleEvent>();
  const agent = createAgent({
    runners: { [RUNNER]: { [TARGET]: "127.0.0.1:1" } },
    token: { value: ADMIN_TOKEN },
    connections: 1,
    backoffBaseMs: 20,
    backoffCapMs: 200,
    drainMs: 500,
    onEvent: events.push,
    ...options,
  });
  const find = async <Type extends AgentLifecycleEvent["type"]>(type: Type, from = 0): Promise<Of<Type>> => {
    const isOne = (event: AgentLifecycleEvent): boolean => event.type === type;
    return (await events.find(isOne, `agent event ${type}`, { from })) as Of<Type>;
  };
  return {
    agent,
    events,
    connected: () => find("connected"),
    failed: (from) => find("attempt-failed", from),
    lost: () => find("lost"),
    [Symbol.asyncDispose]: closedAtTheEnd(() => agent.close()),
  };
}

/** Sends bytes to an echo target and reads them back. Waits for a runner that is not connected yet. */
export async function assertEchoes(
  dial: Dial,
  runner: string = RUNNER,
  target: string = TARGET,
): Promise<void> {
  const socket = await dial(runner, target, { waitMs: 5_000 });
  socket.end("hello");
  assert.equal((await ending(socket)).data.toString(), "hello");
}

/** Writes a PEM or token file that is removed at the end of the process. Returns its path. */
export function file(text: string): string {
  const path = tempPath(".pem");
  writeFileSync(path, text);
  return path;
}

export interface KeptLine {
  level: keyof Logger;
  message: string;
  fields: Record<string, unknown>;
}

/** A logger that records its lines. */
export function keptLog(): { log: Logger; lines: EventLog<KeptLine> } {
  const lines = new EventLog<KeptLine>();
  const at =
    (level: keyof Logger) =>
    (fields: object, message: string): void =>
      lines.push({ level, message, fields: { ...fields } });
  return { log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") }, lines };
}
