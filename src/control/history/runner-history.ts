/** What happened to each runner: connected, lost and why, replaced. In memory, bounded for each runner and in total. */
import { listIn, BoundedLists } from "../records/bounded-lists.ts";
import type { BoundedList, Kept } from "../records/bounded-lists.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import type { RegistryEvent } from "../registry/registry.ts";
import { MAX_EVENT_REASON_LENGTH, MAX_RUNNER_EVENTS, RUNNER_EVENTS_PER_RUNNER } from "./limits.ts";

export interface RunnerEvent {
  readonly atMs: number;
  readonly type: RegistryEvent["type"];
  readonly connection?: string | undefined;
  readonly restarted?: boolean | undefined;
  readonly discovered?: boolean | undefined;
  readonly reason?: string | undefined;
  /** Of the connection, where it is known. */
  readonly carrier?: string | undefined;
  readonly version?: string | undefined;
  readonly credential?: string | undefined;
  readonly peer?: string | undefined;
  /** Of a loss: how long its connection was open. */
  readonly lastedMs?: number | undefined;
}

export class RunnerHistory {
  readonly #all = new BoundedLists<RunnerEvent>({ size: MAX_RUNNER_EVENTS });
  readonly #runners = new Map<string, BoundedList<RunnerEvent>>();

  /** @param connection the one that the event names */
  add(event: RegistryEvent, connection: AgentConnection | undefined): void {
    const { type, runner } = event;
    const list = listIn(this.#runners, runner, RUNNER_EVENTS_PER_RUNNER);
    const now = Date.now();
    this.#all.add(list, {
      atMs: now,
      type,
      ...("connection" in event && { connection: event.connection }),
      ...(type === "connected" && { restarted: event.restarted }),
      ...(type === "rerouted" && { discovered: event.discovered }),
      ...(type === "lost" && { reason: event.reason?.slice(0, MAX_EVENT_REASON_LENGTH) }),
      ...(connection !== undefined && describe(connection)),
      ...(type === "lost" && connection !== undefined && { lastedMs: now - connection.since.getTime() }),
    });
  }

  /** The latest first. */
  of(runner: string): Kept<RunnerEvent>[] {
    return [...(this.#runners.get(runner) ?? [])];
  }
}

function describe({ tunnel, hello, identity }: AgentConnection): Partial<RunnerEvent> {
  const { kind: carrier, remoteAddress: peer } = tunnel;
  return { carrier, version: hello.version, credential: identity.id, peer };
}
